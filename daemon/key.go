package daemon

// A Key is a key of the configuration that is no limit, for a manual.
type Key struct {
	Name    string
	Example string // a value, as TOML has it
	Text    string // what it says, in one line
	PerApp  bool   // it stands in an [[app]]
}

// KeyTable returns the keys of the configuration beside those of [LimitTable],
// first those of the top level.
func KeyTable() []Key {
	return []Key{
		{Name: "fastcgi", Example: `["unix:/run/gatehouse/fastcgi.sock,group=www-data"]`, Text: "where to listen: an address, or a list of them"},
		{Name: "scgi", Example: `"127.0.0.1:4000"`, Text: "likewise"},
		{Name: "http", Example: `"127.0.0.1:8080"`, Text: "likewise"},
		{Name: "allow", Example: `["192.0.2.7", "10.0.0.0/8"]`, Text: "the TCP peers that may connect, needed unless it is loopback"},
		{Name: "allow_users", Example: `["www-data", "1001"]`, Text: "the users whose processes may connect to unix sockets: all that the mode lets if left out (Linux)"},
		{Name: "multiplex", Example: `true`, Text: "false: a FastCGI connection carries one request at a time (CANT_MPX_CONN)"},
		{Name: "access_log", Example: `"off"`, Text: `or "stderr", or a file`},
		{Name: "paths", Example: `"auto"`, Text: "how the web server reports paths: or nginx, apache, iis, keep (all as it sends them)"},
		{Name: "validate", Example: `false`, Text: "true: check what the web server and the applications do, and log it"},

		{Name: "prefix", Example: `"/cgi-bin"`, Text: `where it is mounted; "/" if left out`, PerApp: true},
		{Name: "scripts", Example: `"/usr/lib/cgi-bin"`, Text: "a directory of CGI programs, a program, or a list of them, tried in turn", PerApp: true},
		{Name: "follow", Example: `["/usr/share/gitweb"]`, Text: "directories outside, where symlinks to programs may lead", PerApp: true},
		{Name: "only", Example: `["*.cgi", "tools/*"]`, Text: "the programs in these directories that may run; all if left out", PerApp: true},
		{Name: "env", Example: `{ GIT_PROJECT_ROOT = "/srv/git" }`, Text: "variables of the programs, whatever the web server sends", PerApp: true},
		{Name: "inherit", Example: `["PATH", "LANG", "TZ"]`, Text: "what programs get of gatehouse's own environment; these if left out, the whole with \"all\"", PerApp: true},
		{Name: "stderr", Example: `"log"`, Text: `where the programs' stderr goes: or "client", the web server's error log (FastCGI only)`, PerApp: true},
		{Name: "pass_authorization", Example: `false`, Text: "true: programs get the client's password (HTTP_AUTHORIZATION, AUTH_PASSWORD)", PerApp: true},
		{Name: "role", Example: `"responder"`, Text: `or "authorizer": the programs answer FastCGI's requests of that role`, PerApp: true},
		{Name: "user", Example: `"www-data"`, Text: "the user of the programs, if gatehouse is started as root; a name or a number", PerApp: true},
		{Name: "group", Example: `"www-data"`, Text: "with user: a group in place of its own", PerApp: true},
		{Name: "run_as", Example: `"owner"`, Text: "in place of user: programs run as their owners, with the checks of suexec", PerApp: true},
		{Name: "min_uid", Example: `1000`, Text: "with run_as: the lowest number of an owner", PerApp: true},
		{Name: "min_gid", Example: `100`, Text: "with run_as: the lowest number of an owner's group", PerApp: true},
		{Name: "check_owner", Example: `false`, Text: "true: a program and its directory must belong to root or to the user it runs as", PerApp: true},
		{Name: "check_mode", Example: `false`, Text: "true: neither may be writable by group or others, and the program not set-user-ID", PerApp: true},
		{Name: "chroot", Example: `"/srv/jail"`, Text: "with user: a directory that becomes the programs' root; scripts lies in it", PerApp: true},
		{Name: "umask", Example: `"027"`, Text: "of the programs", PerApp: true},
		{Name: "nice", Example: `10`, Text: "their niceness, from -20 to 19, the lowest priority", PerApp: true},
		{Name: "no_new_privs", Example: `false`, Text: "true: set-user-ID programs that they execute gain nothing", PerApp: true},
		{Name: "no_core", Example: `false`, Text: "true: they leave no core files", PerApp: true},
		{Name: "read_paths", Example: `["/usr", "/lib", "/etc"]`, Text: "all that they may read and execute, beside scripts and follow (Landlock)", PerApp: true},
		{Name: "write_paths", Example: `["/srv/data"]`, Text: "all that they may change, and read", PerApp: true},
		{Name: "cgroup", Example: `"/sys/fs/cgroup/system.slice/gatehouse.service"`, Text: "a delegated control group (version 2), in which they get one", PerApp: true},
		{Name: "cgroup_each", Example: `false`, Text: "true: each program gets one, and what is left in it at its end is killed", PerApp: true},
		{Name: "cgroup_memory", Example: `"512MiB"`, Text: "memory.max of that control group", PerApp: true},
		{Name: "cgroup_processes", Example: `100`, Text: "pids.max of that control group", PerApp: true},
		{Name: "cgroup_cpu", Example: `1.5`, Text: "cpu.max of that control group, in processors", PerApp: true},
		{Name: "local_redirect", Example: `"auto"`, Text: `who follows a program's Location of this server: "client" (302) or "internal"; with auto, internal over HTTP alone`, PerApp: true},
		{Name: "nph", Example: `["*.nph"]`, Text: `programs that answer with a whole HTTP response, beside those by the name nph-*`, PerApp: true},
		{Name: "search_args", Example: `false`, Text: `true: programs get the words of a query like "one+two" as arguments, if all are harmless`, PerApp: true},
		{Name: "files", Example: `"/srv/static"`, Text: "in place of scripts: the files of a directory", PerApp: true},
		{Name: "hidden", Example: `false`, Text: "true: with files, those whose names begin with a dot, too", PerApp: true},
		{Name: "demo", Example: `true`, Text: "in place of scripts: shows the variables that the web server sent", PerApp: true},
		{Name: "hello", Example: `true`, Text: `in place of scripts: answers "hello world"`, PerApp: true},
	}
}
