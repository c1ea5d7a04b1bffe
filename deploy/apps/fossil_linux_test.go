package apps_test

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// fossil is the interpreter of a file that names its repository. Its pages have forms, with a
// password and cookies.
var fossil = &application{
	name:     "Fossil",
	packages: "fossil",
	like:     likePathInfo,
	prepare: func(t *testing.T) {
		newFossil(t)
		write(t, "/usr/lib/cgi-bin/project", "#!/usr/bin/fossil\nrepository: /srv/fossil/project.fossil\n", 0o755)
	},
	visit:  func(t *testing.T, c *client) { visitFossil(t, c, "/cgi-bin/project") },
	varies: fossilVaries,
}

// fossilSCGI is the same as a server, to which nginx speaks itself where it does not speak to the
// gateway.
var fossilSCGI = &application{
	name:     "Fossil, SCGI",
	packages: "fossil",
	recipe:   true,
	like: `location ~ ^/project(/.*)?$ {
	include scgi_params;
	scgi_param SCRIPT_NAME /project;
	scgi_param PATH_INFO $1;
	scgi_pass 127.0.0.1:9000;
}
`,
	prepare: func(t *testing.T) {
		newFossil(t)
		cmd := exec.Command("/usr/bin/fossil", "server", "--scgi", "--localhost", "--port", "9000", "/srv/fossil/project.fossil")
		start(t, cmd, "127.0.0.1:9000")
	},
	visit:  func(t *testing.T, c *client) { visitFossil(t, c, "/project") },
	varies: fossilVaries,
}

var fossilVaries = []variation{
	{`captcha-audio/[0-9a-f]+|name="cs" value="\w+"`, "the picture that a robot cannot read is random, and so is its sound"},
	{`fossil-[0-9a-f]+|login-[0-9a-z]+|\b[0-9a-f]{10,64}\b`, "hashes are those of random names and of times"},
	{`Suggestion: \w+`, "a new password is suggested"},
	{`\d{4}-\d\d-\d\d( |T|%20)?(\d\d:\d\d(:\d\d)?)?|\+\d\d%3A\d\d(%3A\d\d)?|\b\d\d:\d\d(:\d\d)?\b`, "pages show when something was done"},
	{`csrf" value="[^"]*"|cx=[0-9a-f]+`, "forms have a random token"},
	{`=[0-9A-F]{20,}%2F[^;]*`, "cookies are random"},
	{`(?s)<pre class="captcha">.*?</pre>`, "the picture that a robot cannot read is random"},
	{`generated in about [^\n]*|\d+(\.\d+)? seconds|\d+\.\d+s by`, "pages say how long they took"},
	httpDates,
}

// newFossil makes a repository that alice may change.
func newFossil(t *testing.T) {
	t.Helper()
	shell(t, `mkdir /srv/fossil; cd /srv/fossil
fossil new --admin-user alice --date-override 2026-11-01T08:00:00 project.fossil
fossil user password alice secret -R project.fossil
chown -R www-data /srv/fossil`)
}

func visitFossil(t *testing.T, c *client, program string) {
	c.get(program+"/").follow().want(http.StatusOK, "text/html")
	page := c.get(program+"/timeline").want(http.StatusOK, "text/html", "initial empty check-in")
	c.get(page.find(`href="([^"]*/style\.css[^"]*)"`)).want(http.StatusOK, "text/css")
	login := c.get(program+"/login").want(http.StatusOK, "text/html", "<form").hidden()
	login.Set("u", "alice")
	login.Set("p", "wrong")
	login.Set("in", "Login")
	c.post(program+"/login", login).want(http.StatusUnauthorized, "text/html", "unknown user or an incorrect password")
	login.Set("p", "secret")
	c.post(program+"/login", login).follow()
	// A ticket, and a file with it.
	ticket := c.get(program+"/tktnew").want(http.StatusOK, "text/html", "<form").hidden()
	for name, value := range map[string]string{"title": "It leaks <i>", "type": "Code_Defect", "comment": "All over the floor: ümlauts.", "submit": "Submit"} {
		ticket.Set(name, value)
	}
	page = c.post(program+"/tktnew", ticket).follow().want(http.StatusOK, "text/html", "It leaks &lt;i&gt;", "ümlauts")
	view := page.url.String()
	add := c.get(page.find(`href="([^"]*/attachadd[^"]*)"`)).want(http.StatusOK, "text/html").hidden()
	add.Set("comment", "Numbers")
	add.Set("ok", "Add Attachment")
	content := strings.Repeat("0123456789", 20_000)
	c.upload(program+"/attachadd", add, "f", "numbers.txt", []byte(content)).follow()
	page = c.get(view).want(http.StatusOK, "text/html", "numbers.txt")
	c.get(page.find(`href="([^"]*/attachdownload[^"]*)"`)).want(http.StatusOK, "text/plain", content)
	// A clone, and a commit that is sent back.
	shell(t, `export HOME=/srv USER=alice; mkdir /srv/clone; cd /srv/clone
fossil clone --once http://alice:secret@localhost`+program+` ../clone.fossil; fossil open ../clone.fossil
echo hello >greeting.txt; fossil add greeting.txt; fossil commit -m 'A greeting' --no-warnings; fossil sync http://alice:secret@localhost`+program+`; rm -rf /srv/clone /srv/clone.fossil`)
	c.get(program+"/timeline").want(http.StatusOK, "text/html", "A greeting")
	c.get(program+"/raw/greeting.txt?ci=tip").want(http.StatusOK, "text/plain", "hello\n")
	c.get(program + "/logout")
	c.get(program+"/missing").want(http.StatusNotFound, "text/html")
}

func TestFossil(t *testing.T)     { drive(t, fossil) }
func TestFossilSCGI(t *testing.T) { drive(t, fossilSCGI) }
