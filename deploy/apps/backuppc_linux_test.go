package apps_test

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/testkit"
)

// backuppc is a program in C behind a link, which becomes the user of its daemon and starts Perl.
var backuppc = &application{
	name:     "BackupPC",
	packages: "backuppc msmtp-mta",
	recipe:   true,
	like: `location = /backuppc/index.cgi {
	auth_basic BackupPC;
	auth_basic_user_file /etc/nginx/backuppc.htpasswd;
	include fastcgi_params;
	fastcgi_param SCRIPT_FILENAME /usr/share/backuppc/cgi-bin/index.cgi;
	fastcgi_pass unix:/run/fcgiwrap.socket;
}
location /backuppc/image/ { alias /usr/share/backuppc/image/; }
`,
	prepare: func(t *testing.T) {
		write(t, "/etc/nginx/backuppc.htpasswd", "backuppc:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n", 0o644)
		edit(t, "/etc/backuppc/config.pl", "'/usr/bin/smbclient'", "''", "'/usr/bin/nmblookup'", "''")
		// Nothing is backed up but what the form asks for, and nobody is pinged.
		write(t, "/etc/backuppc/localhost.pl", `$Conf{XferMethod} = 'tar';
$Conf{TarShareName} = ['/srv/files'];
$Conf{TarClientCmd} = '/usr/bin/env LC_ALL=C $tarPath -c -v -f - -C $shareName --totals';
$Conf{TarFullArgs} = '$fileList';
$Conf{PingCmd} = '&{sub {0}}';
$Conf{FullPeriod} = -1;
`, 0o644)
		write(t, "/srv/files/greeting.txt", "hello, backup\n", 0o644)
		write(t, "/srv/files/a directory/x.txt", strings.Repeat("x", 200_000), 0o644)
		shell(t, "touch -d 2026-11-01 '/srv/files/a directory/x.txt' '/srv/files/a directory' /srv/files/greeting.txt /srv/files; mkdir -p /run/backuppc; chown backuppc /run/backuppc")
		daemon := exec.Command("/usr/share/backuppc/bin/BackupPC")
		daemon.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, "backuppc")}
		// It takes the end of a connection that says nothing for a reason to end.
		start(t, daemon)
		testkit.Until(t, "the daemon has a socket", func() bool {
			_, err := os.Stat("/run/backuppc/BackupPC.sock")
			return err == nil
		})
	},
	visit: func(t *testing.T, c *client) {
		const program = "/backuppc/index.cgi"
		c.get(program).want(http.StatusUnauthorized, "text/html")
		c.user, c.password = "backuppc", "secret"
		c.get(program).want(http.StatusOK, "text/html", "BackupPC")
		page := c.get(program+"?host=localhost").want(http.StatusOK, "text/html", "localhost", "Start_Full_Backup")
		c.get(page.find(`src="(/backuppc/image/[^"]*\.png)"`)).wantImage("image/png")
		form := page.hidden()
		form.Set("host", "localhost")
		form.Set("action", "Start_Full_Backup")
		c.post(program, form).want(http.StatusOK, "text/html", "Are you sure")
		form.Set("doit", "1")
		c.post(program, form).want(http.StatusOK, "text/html", "Reply from server")
		c.wait("the daemon has a backup", program+"?host=localhost", `"idle" (`).want(http.StatusOK, "text/html", "action=browse&host=localhost&num=0", "> full <")
		files := "&host=localhost&num=0&share=%2Fsrv%2Ffiles"
		c.get(program+"?action=browse"+files).want(http.StatusOK, "text/html", "greeting.txt", "a directory")
		c.get(program+"?action=RestoreFile"+files+"&dir=%2Fgreeting.txt").want(http.StatusOK, "text/plain", "hello, backup\n")
		c.get(program+"?action=RestoreFile"+files+"&dir=%2Fa%20directory%2Fx.txt").want(http.StatusOK, "text/plain", strings.Repeat("x", 200_000))
		c.get(program + "?action=RestoreFile" + files + "&dir=%2F..%2F..%2Fetc%2Fpasswd").lacks("root:")
		c.user = "bob"
		c.get(program+"?host=localhost").want(http.StatusOK, "text/html", "Error").lacks("Start_Full_Backup")
	},
	varies: []variation{
		httpDates, fileTags,
		{`\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?|\b\d+/\d+ \d\d:\d\d`, "pages show times"},
		{`servers PID is \d+`, "a page has the number of the daemon"},
		{`<td[^>]*> *-?\d+\.\d+ *</td>`, "pages show how old a backup is, how long it took, and how fast that was"},
	},
}

func TestBackuppc(t *testing.T) { drive(t, backuppc) }
