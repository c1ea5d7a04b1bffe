package deploy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// The reverse proxies of the tests connect from 127.0.0.1, which is trusted, and their clients
// from other addresses.
const (
	proxiedClient = "127.0.0.2"
	otherClient   = "127.0.0.3"
)

// askFrom makes a request from an address, with further fields, and returns the status and the
// body.
func askFrom(t *testing.T, from, url string, fields ...string) (status int, body string) {
	t.Helper()
	status, body, err := tryFrom(from, url, fields...)
	if err != nil {
		t.Fatalf("%s from %s: %v", url, from, err)
	}
	return status, body
}

func tryFrom(from, url string, fields ...string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return 0, "", err
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Add(name, value)
	}
	transport := &http.Transport{
		DialContext:     (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return response.StatusCode, string(b), err
}

// installCertificate puts a certificate for tests, with its key, where the servers expect it.
func installCertificate(t *testing.T) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pair := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	b = append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile("/etc/site.pem", b, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove("/etc/site.pem") })
}

// TestTrustedProxies: behind reverse proxies that are trusted, an application sees the address
// of the client and its scheme, whatever the client itself claims.
func TestTrustedProxies(t *testing.T) {
	log := startLogged(t, "proxies", `exec gatehouse serve --http 127.0.0.1:8080 --http unix:/run/messages/http.sock,mode=0666 \
		--app demo --trusted-proxies 127.0.0.1 --trusted-proxies unix 2>"$LOG"`, nil, "127.0.0.1:8080", "/run/messages/http.sock")
	installCertificate(t)
	forged := []string{"X-Forwarded-For: 203.0.113.9, 127.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", "X-Forwarded-Port: 444"}
	dropped := []string{"Connection: X-Forwarded-For"} // which a proxy may obey (CVE-2022-31813)
	rfc7239 := []string{"Forwarded: for=203.0.113.9;proto=https"}
	for _, f := range []struct {
		front
		path  string // where the proxy removes what it does not write
		https bool
		open  bool // under /open/, Forwarded passes
	}{
		{front{"nginx", startNginx, "testdata/proxies/nginx.conf"}, "/x", true, true},
		{front{"nginx over a unix socket", startNginx, "testdata/proxies/nginx.conf"}, "/unix/x", true, false},
		{front{"Apache", startApache, "testdata/proxies/apache.conf"}, "/x", false, true},
		{front{"HAProxy", startHAProxy, "testdata/proxies/haproxy.cfg"}, "/x", true, true},
		{front{"HAProxy with Forwarded", startHAProxy, "testdata/proxies/haproxy.cfg"}, "/rfc7239/x", true, false},
		{front{"Caddy", startCaddy, "testdata/proxies/Caddyfile"}, "/x", false, true},
	} {
		t.Run(f.name, func(t *testing.T) {
			f.start(t, f.file)
			for _, scheme := range []string{"http", "https"} {
				if scheme == "https" && !f.https {
					continue
				}
				for _, fields := range [][]string{nil, forged, rfc7239, slices.Concat(rfc7239, forged), slices.Concat(forged, dropped)} {
					status, body := askFrom(t, proxiedClient, scheme+"://127.0.0.1"+f.path, fields...)
					want := fmt.Sprintf("\nREMOTE_ADDR = '%s'\n", proxiedClient)
					if status != http.StatusOK || !strings.Contains(body, want) || !strings.Contains(body, "\nREQUEST_SCHEME = '"+scheme+"'\n") {
						t.Errorf("%s, %q: %d, want %s and %s in %s", scheme, fields, status, want, scheme, body)
					}
					if on := strings.Contains(body, "\nHTTPS = 'on'\n"); on != (scheme == "https") {
						t.Errorf("%s, %q: HTTPS is on: %v", scheme, fields, on)
					}
					if port := map[string]string{"http": "80", "https": "443"}[scheme]; !strings.Contains(body, "\nSERVER_PORT = '"+port+"'\n") {
						t.Errorf("%s, %q: the port is not %s: %s", scheme, fields, port, body)
					}
				}
			}
			if !f.open {
				return
			}
			// Whom a client claims to be in the other field counts neither, nor does it pass for
			// the proxy. If it names itself, its scheme does not count.
			status, body := askFrom(t, proxiedClient, "http://127.0.0.1/open/x", rfc7239...)
			if status != http.StatusBadRequest || !strings.Contains(body, "127.0.0.2 in X-Forwarded-For, 203.0.113.9 in Forwarded") {
				t.Errorf("another client in Forwarded: %d, %s", status, body)
			}
			status, body = askFrom(t, proxiedClient, "http://127.0.0.1/open/x", "Forwarded: for=127.0.0.2;proto=https")
			if status == http.StatusOK && strings.Contains(body, "HTTPS = 'on'") {
				t.Errorf("a client has made it HTTPS: %s", body)
			}
		})
	}
	// From anybody else the fields are fields like any other.
	status, body := askFrom(t, proxiedClient, "http://127.0.0.1:8080/", slices.Concat(rfc7239, forged)...)
	if status != http.StatusOK || !strings.Contains(body, "\nREMOTE_ADDR = '127.0.0.2'\n") || strings.Contains(body, "HTTPS = 'on'") ||
		!strings.Contains(body, "\nHTTP_FORWARDED = 'for=203.0.113.9;proto=https'\n") {
		t.Errorf("without a proxy: %d, %s", status, body)
	}
	if !strings.Contains(log(), "disagree about the client") {
		t.Errorf("the log does not tell of the request that was refused:\n%s", log())
	}
}

// TestTrustedProxiesLimits: programs_per_address counts the clients behind a proxy.
func TestTrustedProxiesLimits(t *testing.T) {
	const dir = "/srv/proxies"
	writeProgram(t, dir+"/bin/hold", "#!/bin/sh\n: >"+dir+"/holding\nread -r _ <"+dir+"/proceed\nprintf 'Content-Type: text/plain\\n\\nheld\\n'", 0o755)
	writeProgram(t, dir+"/bin/quick", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nquick\\n'", 0o755)
	t.Cleanup(func() { os.RemoveAll(dir) })
	run(t, "/usr/bin/mkfifo", dir+"/proceed")
	config := filepath.Join(t.TempDir(), "g.toml")
	if err := os.WriteFile(config, []byte(`http = "127.0.0.1:8080"
trusted_proxies = "127.0.0.1"
scripts = "`+dir+`/bin"
programs_per_address = 1
queue_wait = "10ms"
`), 0o644); err != nil {
		t.Fatal(err)
	}
	startLogged(t, "limits", `exec gatehouse serve --config `+config+` 2>"$LOG"`, nil, "127.0.0.1:8080")
	installCertificate(t)
	startNginx(t, "testdata/proxies/nginx.conf")
	type result struct {
		status int
		body   string
		err    error
	}
	held := make(chan result, 1)
	go func() {
		var r result
		r.status, r.body, r.err = tryFrom(proxiedClient, "http://127.0.0.1/hold")
		held <- r
	}()
	testkit.Until(t, "the program that holds its place", func() bool {
		_, err := os.Stat(dir + "/holding")
		return err == nil
	})
	if status, body := askFrom(t, proxiedClient, "http://127.0.0.1/quick", "X-Forwarded-For: 203.0.113.9"); status != http.StatusServiceUnavailable {
		t.Errorf("the same client has a second program: %d, %s", status, body)
	}
	if status, body := askFrom(t, otherClient, "http://127.0.0.1/quick"); status != http.StatusOK {
		t.Errorf("another client has none: %d, %s", status, body)
	}
	if err := os.WriteFile(dir+"/proceed", []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	if r := testkit.Receive(t, "the response of the first program", held); r.err != nil || r.status != http.StatusOK {
		t.Errorf("the first program: %+v", r)
	}
}

// TestReverseProxyPage: what docs/reverse-proxy.md has one write in a proxy is in the files that
// TestTrustedProxies runs.
func TestReverseProxyPage(t *testing.T) {
	files := map[string]string{"nginx": "nginx.conf", "apache": "apache.conf", "haproxy": "haproxy.cfg", "caddy": "Caddyfile"}
	for _, b := range testkit.CodeBlocks(t, "../docs/reverse-proxy.md") {
		file, ok := files[b.Language]
		if !ok {
			continue
		}
		delete(files, b.Language)
		text := string(read(t, "testdata/proxies/"+file))
		for line := range strings.Lines(b.Text) {
			if !strings.Contains(text, "\t"+strings.TrimSpace(line)+"\n") && !strings.Contains(text, "\n"+strings.TrimSpace(line)+"\n") {
				t.Errorf("docs/reverse-proxy.md has a line that %s has not: %s", file, line)
			}
		}
	}
	if len(files) > 0 {
		t.Errorf("docs/reverse-proxy.md has no block for %v", files)
	}
}
