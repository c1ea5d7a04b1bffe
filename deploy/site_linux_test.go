package deploy_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
)

// siteUsers are the files of users that those for a site name.
var siteUsers = map[string]string{
	"/etc/nginx/site.htpasswd":    aliceSHA1,
	"/etc/apache2/site.htpasswd":  aliceSHA1,
	"/etc/lighttpd/site.htpasswd": aliceSHA1,
	"/etc/caddy/site.users":       aliceCaddy,
}

// startHAProxySite starts HAProxy with a list of the same user before the named file.
func startHAProxySite(t *testing.T, file string) {
	t.Helper()
	appendTo(t, haproxyConfig, "\nuserlist site\n\tuser alice password $6$gatehouse$GSnONsjQJOzU/Dx8WEiyzHZECCHKRxsU.Z71c1.HBSQ0iD80SKAMj2sNfiDDu/flZ/4AEuSEJonK9bkKidZpH0\n")
	startHAProxy(t, file)
}

// TestSites: each web server has one file for a whole site, and does all of it.
func TestSites(t *testing.T) {
	const whoami = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s|%s|%s|<%s>' \"$SCRIPT_NAME\" \"$PATH_INFO\" \"$QUERY_STRING\" \"$REMOTE_USER\"\n"
	writeProgram(t, "/usr/lib/cgi-bin/whoami", whoami, 0o755)
	writeProgram(t, "/usr/lib/cgi-bin/private/whoami", whoami, 0o755)
	writeProgram(t, "/usr/lib/cgi-bin/hash", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s ' \"$CONTENT_LENGTH\"\nexec sha256sum\n", 0o755)
	writeProgram(t, "/srv/site/static/site.css", "body { color: #333 }\n", 0o644)
	installProgram(t, "events")
	installProgram(t, "stream")
	for path, users := range siteUsers {
		if err := os.WriteFile(path, []byte(users), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The keys that the file for HAProxy asks for.
	startGateway(t, "[[app]]\nprefix = \"/static\"\nfiles = \"/srv/site/static\"\n")
	serve(t, "application", "--fastcgi", "unix:/run/application/fastcgi.sock", "--fastcgi", "127.0.0.1:9001",
		"--scgi", "unix:/run/application/scgi.sock", "--app", "/=demo", "--app", "/application=scripts:/usr/lib/cgi-bin")

	through(t, siteFronts, func(t *testing.T, f front) {
		wantPage(t, "/cgi-bin/whoami/a%20b/c?x=1&y=%20", "text/plain", "/cgi-bin/whoami|/a b/c|x=1&y=%20|<>")
		wantStatus(t, "/cgi-bin/missing", http.StatusNotFound)
		wantPage(t, "/", "text/plain", "Hello world!")
		wantPage(t, "/an%20item?colour=blue", "text/plain", "Hello world!", "colour=blue", "/an item")
		wantPage(t, "/static/site.css", "text/css", "body { color: #333 }\n")
		wantStatus(t, "/static/missing.css", http.StatusNotFound)
		t.Run("password", wantPassword)
		t.Run("upload", func(t *testing.T) { wantUpload(t, false) })
		t.Run("chunked upload", func(t *testing.T) {
			if f.wantsLength() {
				wantRefusedChunks(t, "/cgi-bin/hash", refusals[f.file])
			} else {
				wantUpload(t, true)
			}
		})
		// HAProxy has no limit, and leaves the 100 to the application.
		if f.name != "HAProxy" {
			wantContinue(t, "/cgi-bin/hash", 3<<30)
		}
		for _, path := range []string{"/cgi-bin", "/application"} {
			t.Run("events"+path, func(t *testing.T) { wantEvents(t, path+"/events", 3) })
			t.Run("stream"+path, func(t *testing.T) { wantStream(t, path+"/stream") })
		}
	})
}

// wantPassword checks that what begins with private needs the password, however the path
// is written, and that nobody has a name elsewhere.
func wantPassword(t *testing.T) {
	for path, texts := range map[string][2]string{
		"/cgi-bin/private/whoami": {"<%s>", ""},
		"/private/page":           {"REMOTE_USER = '%s'", "Hello world!"},
	} {
		got := getURL(t, path)
		if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s without a password: status %d, %q", path, got.status, got.header)
		}
		if got := getAs(t, path, "alice", "wrong"); got.status != http.StatusUnauthorized {
			t.Errorf("%s with a wrong password: status %d", path, got.status)
		}
		if got, want := getAs(t, path, "alice", "secret"), fmt.Sprintf(texts[0], "alice"); got.status != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("%s with the password: status %d, %q; want %s", path, got.status, got.body, want)
		}
	}
	for _, user := range []string{"alice", "mallory"} {
		if got := getAs(t, "/cgi-bin/whoami", user, "any"); got.status != http.StatusOK || !strings.HasSuffix(got.body, "<>") {
			t.Errorf("a program where nobody asks for the password of %s: status %d, %q", user, got.status, got.body)
		}
		if got := getAs(t, "/page", user, "any"); got.status != http.StatusOK || strings.Contains(got.body, "REMOTE_USER = '"+user) {
			t.Errorf("the application where nobody asks for the password of %s: status %d, %q", user, got.status, got.body)
		}
	}
	for _, path := range []string{"/cgi-bin//private/whoami", "//cgi-bin/private/whoami", "/cgi-bin/./private/whoami", "/cgi-bin/x/../private/whoami",
		"/cgi-bin/%70rivate/whoami", "/cgi-bin/%2570rivate/whoami", "http://localhost/cgi-bin/private/whoami", "/%63gi-bin/private/whoami", "/cgi-bin%2Fprivate/whoami", "/cgi-bin/private%2Fwhoami", "/cgi-bin/%2e/private/whoami",
		"/cgi-bin/x/%2E%2e/private/whoami", "/cgi-bin/x/..%2fprivate/whoami", "/cgi-bin/%2Fprivate/whoami", "/static/../cgi-bin/private/whoami", "/x/..//cgi-bin/private/whoami",
		"//private/page", "/./private/page", "/%70rivate/page", "/x/../private/page", "/cgi-bin/../private/page", "/%2e/private/page", "/%2fprivate/page", "/private"} {
		conn := send(t, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path))
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if response.StatusCode < 400 || response.StatusCode >= 500 {
			body, _ := io.ReadAll(response.Body)
			t.Errorf("%s without a password: status %d, %.300q", path, response.StatusCode, body)
		}
		response.Body.Close()
		conn.Close()
	}
}

// uploadSize is how large a body the files for a site take in the tests, in bytes.
const uploadSize = 100 << 20

// wantUpload sends a body to a program that counts and hashes it.
func wantUpload(t *testing.T, chunked bool) {
	hash := sha256.New()
	random := rand.NewChaCha8([32]byte([]byte("gatehouse deploy tests, uploads.")))
	request, err := http.NewRequest("POST", "http://localhost/cgi-bin/hash", io.TeeReader(io.LimitReader(random, uploadSize), hash))
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = uploadSize
	if chunked {
		request.ContentLength = -1
	}
	got := get(t, request)
	if want := fmt.Sprintf("%d %x  -\n", uploadSize, hash.Sum(nil)); got.status != http.StatusOK || got.body != want {
		t.Errorf("status %d, %.300q; want %q", got.status, got.body, want)
	}
}

// wantRefusedChunks checks that a body of unknown length gets a status.
func wantRefusedChunks(t *testing.T, path string, want int) {
	t.Helper()
	const size = 20_000 // more than HAProxy's buffer
	conn := send(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"+
		"Content-Type: application/x-git-receive-pack-request\r\n\r\n%x\r\n%s\r\n", path, size, large(size)))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != want {
		t.Errorf("a body of unknown length: status %d; want %d", response.StatusCode, want)
	}
}

// wantContinue announces a body of so many bytes and checks that the server asks for it.
func wantContinue(t *testing.T, path string, size int64) {
	t.Helper()
	conn := send(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", path, size))
	defer conn.Close()
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Errorf("a body of %d bytes: %q, %v; want 100 Continue", size, line, err)
	}
}
