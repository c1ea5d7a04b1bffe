package packaging_test

import (
	"strings"
	"testing"

	"gatehouse/internal/machine"
	"gatehouse/internal/testkit"
)

// offline makes the commands of docs/wsgi.md those of a machine without a network, whose
// virtual environments have Django and Flask from Debian's packages.
func offline(commands string) string {
	var b strings.Builder
	for line := range strings.Lines(commands) {
		if !strings.Contains(line, "/pip install ") {
			b.WriteString(strings.Replace(line, "python3 -m venv ", "python3 -m venv --system-site-packages ", 1))
		}
	}
	return b.String()
}

// TestWSGIPage follows docs/wsgi.md to the letter: Flask and Django, each in a gateway of its own
// under systemd, in the strict sandbox, with nginx in front. Then both run under the compat profile.
func TestWSGIPage(t *testing.T) {
	m := machine.Boot(t)
	m.Copy(built(t, "gatehouse", ".deb"), "/root/gatehouse/bin")
	m.Shell("apt-get install -qq -y --no-install-recommends /root/gatehouse/bin/gatehouse_*.deb 2>&1")
	const flask, django = "Flask, from nothing to systemd", "Django, with static files"
	blocks := testkit.CodeBlocks(t, "../../docs/wsgi.md")
	location := "" // of the first section, which the second one has as well
	output := make(map[string]string)
	section := func(name, socket string) {
		for _, b := range blocks {
			switch {
			case b.Section != name:
			case b.Language == "nginx":
				location = b.Text
			case b.Language == "" || b.Language == "sh":
				if strings.Contains(b.Text, reload) {
					serveAll(t, m, strings.ReplaceAll(location, "hello.sock", socket))
				}
				output[name] += follow(m, offline(b.Text))
			default:
				t.Errorf("nobody follows a block of %s in section %s", b.Language, b.Section)
			}
		}
	}

	section(flask, "hello.sock")
	if got := output[flask]; !strings.HasSuffix(got, "hello, 127.0.0.1, over http") {
		t.Errorf("the application in Flask says %q", got)
	}
	m.Shell(`sed -i 's/hello,/welcome,/' /srv/hello/app.py; systemctl reload gatehouse@hello`)
	if got := get(m, "/"); got != "welcome, 127.0.0.1, over http" {
		t.Errorf("after a reload, it says %q", got)
	}
	m.Shell(`cp /srv/hello/app.py /root/app.py; echo 'import nothere' >>/srv/hello/app.py`)
	m.Fails("systemctl", "reload", "gatehouse@hello")
	m.Until("the journal has the reason of the reload", func() bool {
		return strings.Contains(m.Journal("gatehouse@hello"), "it ended before it was ready, with exit status 1: ModuleNotFoundError: No module named 'nothere'")
	})
	if got := get(m, "/"); got != "welcome, 127.0.0.1, over http" {
		t.Errorf("after a reload that failed, it says %q", got)
	}
	m.Until("the journal says which module is missing", func() bool {
		return strings.Contains(m.Journal("gatehouse@hello"), "app needs the module nothere")
	})
	m.Shell(`cp /root/app.py /srv/hello/app.py; systemctl reload gatehouse@hello`)
	writes := "chown gatehouse: /srv/hello; sed -i 's|    return|    open(\"/srv/hello/written\", \"w\").close()\\n    return|' /srv/hello/app.py; systemctl reload gatehouse@hello"
	m.Shell(writes)
	if got := get(m, "/"); !strings.Contains(got, "Internal Server Error") {
		t.Errorf("under the strict profile, an application that writes says %q", got)
	}
	m.Until("the journal says which setting stops it", func() bool { return strings.Contains(m.Journal("gatehouse@hello"), "ProtectSystem=") })
	hello := location

	section(django, "shop.sock")
	if got := output[django]; !strings.Contains(got, "<title>Log in | Django site admin</title>") {
		t.Errorf("the admin of Django says %q", got)
	}
	if got := m.Shell(`curl -s http://localhost/static/admin/css/base.css`); !strings.Contains(got, "DJANGO Admin styles") {
		t.Errorf("the style sheet is %.200q", got)
	}
	if got := m.Shell(`curl -s -o /dev/null -w '%{http_code}' -H 'Host: example.org' http://localhost/admin/`); got != "400" {
		t.Errorf("for a host that is not allowed, the admin responds with %s", got)
	}
	m.Until("the journal says which host is not allowed", func() bool {
		return strings.Contains(m.Journal("gatehouse@shop"), "Invalid HTTP_HOST header: 'example.org'")
	})
	m.Shell(`cp /srv/shop/shop/urls.py /root/urls.py; echo 'import nothere' >>/srv/shop/shop/urls.py`)
	m.Fails("systemctl", "reload", "gatehouse@shop")
	if got := m.Shell(`curl -sL http://localhost/admin/`); !strings.Contains(got, "<title>Log in") {
		t.Errorf("after a reload with a broken urls.py, the admin says %q", got)
	}
	m.Shell(`cp /root/urls.py /srv/shop/shop/urls.py; systemctl reload gatehouse@shop`)
	login := `cd /tmp; curl -sS -c jar -o page http://localhost/admin/login/
		token=$(sed -n 's/.*csrftoken[[:space:]]*//p' jar)
		curl -sS -L -b jar -c jar -d csrfmiddlewaretoken=$token -d username=admin -d password=change-me -d next=/admin/ http://localhost/admin/login/`
	if got := m.Shell(login); !strings.Contains(got, "<title>Site administration") {
		t.Errorf("after a login, the admin says %.500q", got)
	}
	if got := m.Run("gatehouse", "explain", "--unit", "gatehouse@shop.service", "--config", "/etc/gatehouse/shop.toml", "http://localhost/admin/"); !strings.Contains(got, "of the virtual environment /srv/shop/venv") {
		t.Errorf("explain says\n%s", got)
	}

	m.Run("sync")
	m.Reboot()
	if got := m.Shell(`curl -sL http://localhost/admin/`); !strings.Contains(got, "<title>Log in") {
		t.Errorf("after a reboot, the admin says %q", got)
	}

	// The compat profile, for both, without what the strict one needs.
	m.Shell(`mkdir -p /etc/systemd/system/gatehouse@.service.d
		ln -s /usr/share/gatehouse/systemd/compat.conf /etc/systemd/system/gatehouse@.service.d/
		rm /etc/systemd/system/gatehouse@shop.service.d/data.conf
		systemctl daemon-reload && systemctl restart gatehouse@hello gatehouse@shop`)
	if got := m.Shell(login); !strings.Contains(got, "<title>Site administration") {
		t.Errorf("under the compat profile, after a login, the admin says %.500q", got)
	}
	serveAll(t, m, hello)
	reloadNginx(m)
	if got := get(m, "/"); got != "welcome, 127.0.0.1, over http" || !m.Exists("/srv/hello/written") {
		t.Errorf("under the compat profile, an application that writes says %q", got)
	}
}

// serveAll puts a location for all paths into the site of nginx.
func serveAll(t *testing.T, m *machine.Machine, location string) {
	t.Helper()
	const site, begin, end = "/etc/nginx/sites-available/default", "\n\tlocation / {\n", "\n\t}\n"
	text := m.Run("cat", site) + "\n"
	if before, rest, found := strings.Cut(text, begin); found {
		_, after, _ := strings.Cut(rest, end)
		text = before + "\n# all\n" + location + "# end\n" + after
	} else {
		before, rest, _ := strings.Cut(text, "# all\n")
		_, after, _ := strings.Cut(rest, "# end\n")
		text = before + "# all\n" + location + "# end\n" + after
	}
	m.Write(site, text, 0o644)
}
