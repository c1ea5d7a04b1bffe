package deploy_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recipes returns the blocks of docs/forwarding.md that contain a text, with the paths of the
// tests: configuration of gatehouse, and of web servers.
func recipes(t *testing.T, containing string) []string {
	t.Helper()
	page, err := os.ReadFile("../docs/forwarding.md")
	if err != nil {
		t.Fatal(err)
	}
	paths := strings.NewReplacer("/run/php/php8.2-fpm.sock", "/run/php/fpm.sock", "/srv/www", "/srv/site")
	var found []string
	block := ""
	toml := false
	for line := range strings.Lines(paths.Replace(string(page)) + "end\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			toml = line == "```toml\n"
		case toml || strings.HasPrefix(line, "    ") || block != "" && line == "\n":
			block += line
			continue
		}
		if strings.Contains(block, containing) {
			found = append(found, block)
		}
		block = ""
	}
	if len(found) == 0 {
		t.Fatalf("no block has %q", containing)
	}
	return found
}

// TestPHPRecipes: an uploaded file never runs because ".php" follows behind its name, by any of
// the recipes of docs/forwarding.md.
func TestPHPRecipes(t *testing.T) {
	const page = `echo 'ran ', $_SERVER['SCRIPT_NAME'], ' ', $_SERVER['PATH_INFO'] ?? '';`
	const picture = `<?php echo 'uploaded ', 'code';`
	writePages(t, "1", map[string]string{"page.php": page, "index.php": "echo 'index';"})
	writeProgram(t, "/srv/site/1/public/up/pic.gif", picture, 0o644)
	activate(t, "1")
	startPHP(t)
	if err := os.MkdirAll("/run/gatehouse", 0o755); err != nil {
		t.Fatal(err)
	}
	configs := recipes(t, `fastcgi = "unix:/run/php/fpm.sock`)[:2]
	servers := recipes(t, "fastcgi_pass")
	for i, name := range []string{"root", "SCRIPT_FILENAME"} {
		t.Run(name, func(t *testing.T) {
			writeProgram(t, "/etc/gatehouse/php.toml", configs[i], 0o644)
			startLogged(t, "php", `exec gatehouse serve --config /etc/gatehouse/php.toml 2>"$LOG"`, nil, "/run/gatehouse/fastcgi.sock")
			conf := filepath.Join(t.TempDir(), "php.conf")
			if err := os.WriteFile(conf, []byte("server {\n\tlisten 80;\n\troot /srv/site/current/public;\n"+servers[i]+"}\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			startNginx(t, conf)
			wantNoUpload(t)
		})
	}
	t.Run("Action", func(t *testing.T) {
		writeProgram(t, "/usr/local/lib/cgi-bin/php.cgi", "#!"+filepath.Join(workspace, "gatehouse")+" cgi --fastcgi unix:/run/php/fpm.sock\n", 0o755)
		writeProgram(t, "/var/www/html/page.php", "<?php\n"+page, 0o644)
		writeProgram(t, "/var/www/html/up/pic.gif", picture, 0o644)
		action := recipes(t, "AddHandler")[0]
		for line := range strings.Lines(action) {
			if !strings.Contains(string(read(t, "testdata/forward/php.conf")), strings.TrimSpace(line)) {
				t.Errorf("the test does not have the line of the recipe %q", line)
			}
		}
		startApacheWith(t, "testdata/forward/php.conf", "LoadModule cgid_module /usr/lib/apache2/modules/mod_cgid.so", "ScriptSock /run/apache2/socks/cgisock")
		wantNoUpload(t)
	})
}

// wantNoUpload fails the test unless the page runs, and the uploaded picture does not.
func wantNoUpload(t *testing.T) {
	t.Helper()
	for path, want := range map[string]string{
		"/page.php":               "200 ran /page.php ",
		"/page.php/x/y":           "200 ran /page.php /x/y",
		"/up/pic.gif/x.php":       "404",
		"/up/pic.gif/x.php/y.php": "404",
		"/up/pic.gif/page.php":    "404",
	} {
		got := getURL(t, path)
		text := fmt.Sprint(got.status)
		if got.status == http.StatusOK {
			text += " " + got.body
		}
		if text != want {
			t.Errorf("%s: %.300q, want %q", path, text, want)
		}
	}
}
