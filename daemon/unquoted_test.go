package daemon

import "testing"

func TestUnquoted(t *testing.T) {
	for line, want := range map[string]struct {
		message string
		column  int
	}{
		"fastcgi = 127.0.0.1:9100":             {`fastcgi: 127.0.0.1:9100 is not in quotes: write "127.0.0.1:9100"`, 11},
		"\tfastcgi=127.0.0.1:9100 # here\r":    {`fastcgi: 127.0.0.1:9100 is not in quotes: write "127.0.0.1:9100"`, 10},
		"fastcgi = [127.0.0.1:9100]":           {`fastcgi: 127.0.0.1:9100 is not in quotes: write "127.0.0.1:9100"`, 12},
		`http = ["127.0.0.1:0", :80]`:          {`http: :80 is not in quotes: write ":80"`, 24},
		"http = [::1]:9000":                    {`http: [::1]:9000 is not in quotes: write "[::1]:9000"`, 8},
		"fastcgi = unix:/run/f.sock,group=web": {`fastcgi: unix:/run/f.sock,group=web is not in quotes: write "unix:/run/f.sock,group=web"`, 11},
		"scripts = /usr/lib/cgi-bin":           {`scripts: /usr/lib/cgi-bin is not in quotes: write "/usr/lib/cgi-bin"`, 11},
		"fastcgi = “127.0.0.1:9100”":           {`fastcgi: “127.0.0.1:9100” is not in quotes: write "127.0.0.1:9100"`, 11},
		"allow = 10.0.0.0/8":                   {`allow: 10.0.0.0/8 is not in quotes: write "10.0.0.0/8"`, 9},
		"idle = 10s":                           {`idle: 10s is not in quotes: write "10s"`, 8},
		"body_bytes = 10MiB":                   {`body_bytes: 10MiB is not in quotes: write "10MiB"`, 14},
		"umask = 022":                          {`umask: 022 is not in quotes: write "022"`, 9},
		"access_log = off":                     {`access_log: off is not in quotes: write "off"`, 14},
		"validate = yes":                       {"validate: yes is not in quotes: write true or false", 12},
		"validate = True":                      {"validate: True is not in quotes: write true or false", 12},
		"validate = true":                      {},
		"programs = 8":                         {},
		"cgroup_cpu = 1.5 # half":              {},
		`fastcgi = "127.0.0.1:9100"`:           {},
		`follow = ["/a b", '/c']`:              {},
		`env = { A = b }`:                      {},
		"[[app]]":                              {},
		"fastcgi: 9000":                        {},
		"":                                     {},
	} {
		if message, column := unquoted(line); message != want.message || column != want.column {
			t.Errorf("%q: %q, %d; want %q, %d", line, message, column, want.message, want.column)
		}
	}
	if got := lineAt([]byte("a\nb\n"), 2); got != "b" {
		t.Errorf("the second line is %q", got)
	}
}

func TestWarnsOfNoApplication(t *testing.T) {
	c, err := ParseConfig("g.toml", []byte("http = \"127.0.0.1:0\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `g.toml has no application, so all requests get the demo, a page of the web server's variables: write scripts = "DIR"`
	if got := c.Warnings(); len(got) != 1 || got[0] != want {
		t.Errorf("%q; want %q", got, want)
	}
	c.AddApps(App{Prefix: "/", Kind: Hello()}) // --app
	if got := append(c.Warnings(), new(Config).Warnings()...); len(got) > 0 {
		t.Errorf("%q; want nothing", got)
	}
}

// TestKindByOtherName: --app fcgi:… is a later kind, and no unknown one.
func TestKindByOtherName(t *testing.T) {
	for _, s := range []string{"fcgi:127.0.0.1:9000", "/x=fcgi:unix:/run/x"} {
		_, err := ParseApp(s)
		checkError(t, err, `unknown kind of application "fcgi": did you mean "fastcgi"?`)
	}
	_, err := ParseApp("cgi:/usr/lib/cgi-bin")
	checkError(t, err, `unknown kind of application "cgi": did you mean "scripts"?`)
}
