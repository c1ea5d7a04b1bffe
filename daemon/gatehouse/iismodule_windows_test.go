package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/fastcgi/client"
	"gatehouse/internal/iishost"
	"gatehouse/internal/testkit"

	"golang.org/x/sys/windows"
)

// moduleToken is what the ASP.NET Core Module gives a process.
const moduleToken = "4711-pairing"

// startByModule starts "gatehouse serve" as the ASP.NET Core Module does, with a token, and returns
// where it listens.
func startByModule(t *testing.T, program string, args ...string) (d *daemonProcess, url string) {
	t.Helper()
	for range 10 { // another process may take the port first
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		env := []string{fmt.Sprint("ASPNETCORE_PORT=", port), "ASPNETCORE_TOKEN=" + moduleToken, "ASPNETCORE_APPL_PATH=/"}
		d := startGatehouseWith(t, env, program, append([]string{"serve"}, args...)...)
		for line := range d.lines {
			var l struct{ Msg, Address string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "listening" {
				return d, "http://" + l.Address
			}
			if !strings.Contains(line, "in use") {
				t.Log(line)
			}
		}
	}
	t.Fatal("gatehouse does not listen")
	return nil, ""
}

// ofModule makes a request as the module does, and returns the response with its body to be read.
func ofModule(t *testing.T, method, url string, fields ...string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: testkit.Patience}
	resp, err := c.Do(r)
	if err == nil {
		t.Cleanup(func() { resp.Body.Close() })
	}
	return resp, err
}

// recycle asks gatehouse to end as the module does, and waits for it. It calls meanwhile, if
// that is not nil, once gatehouse drains.
func (d *daemonProcess) recycle(t *testing.T, url string, meanwhile func()) {
	t.Helper()
	resp, err := ofModule(t, "POST", url+"/iisintegration", "MS-ASPNETCORE-TOKEN", moduleToken, "MS-ASPNETCORE-EVENT", "shutdown")
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("the module's request: %v, %v; want 202", resp, err)
	}
	for line := range d.lines {
		if strings.Contains(line, moduleToken) {
			t.Errorf("the token is in the log: %s", line)
		}
		if strings.Contains(line, "draining: IIS asks for it") && meanwhile != nil {
			meanwhile()
		}
	}
	if err := <-d.ended; err != nil {
		t.Errorf("after the module's request: %v; want exit status 0", err)
	}
}

// TestWindowsModule is the ASP.NET Core Module: its port, its token, and its request to end, which
// lets the request in flight finish.
func TestWindowsModule(t *testing.T) {
	dir := configured(t, "[[app]]\nprefix = \"/demo\"\ndemo = true")
	d, url := startByModule(t, self(t), "--config", filepath.Join(dir, "gatehouse.toml"), "--access-log", "stderr")
	for _, c := range []struct {
		method, path, token, event string
		want                       int
	}{
		{"GET", "/", moduleToken, "", 200},
		{"GET", "/demo/", moduleToken, "", 200},
		{"GET", "/", "", "", 400},
		{"GET", "/", "4711", "", 400},
		{"POST", "/iisintegration", "", "shutdown", 400},
		{"POST", "/iisintegration", "4711", "shutdown", 400},
		{"GET", "/", moduleToken, "", 200},
	} {
		fields := []string{"MS-ASPNETCORE-TOKEN", c.token}
		if c.event != "" {
			fields = append(fields, "MS-ASPNETCORE-EVENT", c.event)
		}
		resp, err := ofModule(t, c.method, url+c.path, fields...)
		if err != nil || resp.StatusCode != c.want {
			t.Errorf("%+v: %v, %v", c, resp, err)
		}
	}
	for _, path := range []string{"/demo/", "/cgi/run?env"} {
		resp, err := ofModule(t, "GET", url+path, "MS-ASPNETCORE-TOKEN", moduleToken)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || strings.Contains(string(b), moduleToken) || strings.Contains(string(b), "ASPNETCORE_TOKEN") {
			t.Errorf("%s: %v, or the token is there:\n%s", path, err, b)
		}
	}
	resp, err := ofModule(t, "GET", url+"/cgi/run?hold", "MS-ASPNETCORE-TOKEN", moduleToken)
	if err != nil {
		t.Fatal(err)
	}
	d.recycle(t, url, func() {
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
			t.Error(err)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "begun\ndone\n" || err != nil {
			t.Errorf("the request in flight: %q, %v", b, err)
		}
	})
}

// deployment returns the commands of docs/iis.md that replace the program, for a directory,
// without those of PowerShell.
func deployment(t *testing.T, dir, source string) string {
	t.Helper()
	for _, b := range testkit.CodeBlocks(t, "../../docs/iis.md") {
		if !strings.Contains(b.Text, "\nren ") {
			continue
		}
		text := strings.NewReplacer(`C:\Program Files\gatehouse`, dir, `\\server\new\gatehouse.exe`, source).Replace(b.Text)
		var lines []string
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if line != "" && !strings.HasPrefix(line, "Restart-") {
				lines = append(lines, line, "if errorlevel 1 exit /b 1")
			}
		}
		if len(lines) != 2*3 {
			t.Fatalf("docs/iis.md replaces the program by %q", lines)
		}
		return "@echo off\r\n" + strings.Join(lines, "\r\n") + "\r\n"
	}
	t.Fatal("docs/iis.md does not say how to replace the program")
	return ""
}

// TestWindowsDeploy runs the script of docs/iis.md that replaces the program while it serves, and
// recycles as both modules do: the old process serves until it is asked to end, beside the new one.
func TestWindowsDeploy(t *testing.T) {
	dir := temporary(t, "gatehouse.exe", "gatehouse-old.exe", "deploy.cmd")
	program, old, script := filepath.Join(dir, "gatehouse.exe"), filepath.Join(dir, "gatehouse-old.exe"), filepath.Join(dir, "deploy.cmd")
	text, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, text, 0o755); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(temporary(t, "gatehouse.exe"), "gatehouse.exe")
	if err := os.WriteFile(source, text, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte(deployment(t, dir, source)), 0o644); err != nil {
		t.Fatal(err)
	}
	deploy := func() {
		t.Helper()
		if err := os.WriteFile(program, text, 0o755); !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
			t.Errorf("the program is written to while it runs: %v", err)
		}
		cmd := exec.Command("cmd", "/c", script)
		cmd.Dir = filepath.VolumeName(dir) + `\` // cd changes no drive
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}

	before, beforeURL := startByModule(t, program, "--app", "hello")
	deploy()
	after, afterURL := startByModule(t, program, "--app", "hello")
	for _, url := range []string{beforeURL, afterURL} {
		if resp, err := ofModule(t, "GET", url+"/", "MS-ASPNETCORE-TOKEN", moduleToken); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %v, %v", url, resp, err)
		}
	}
	before.recycle(t, beforeURL, nil)
	if err := os.Remove(old); err != nil {
		t.Errorf("the old program after its end: %v", err)
	}
	after.recycle(t, afterURL, nil)

	var hosts []*pipeHost
	for range 2 {
		h := &pipeHost{log: filepath.Join(dir, "log")}
		h.Application, err = iishost.Start(iishost.Command{Path: program, Arguments: "serve --app hello",
			Env: append(os.Environ(), commandVariable+"=1", "GATEHOUSE_LOG="+h.log)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Application.Close() })
		h.client = client.New(h.Conn())
		if hosts = append(hosts, h); len(hosts) == 1 {
			h.ask(t, "/", nil)
			deploy()
		}
	}
	defer os.Remove(filepath.Join(dir, "log"))
	for _, h := range hosts {
		if _, answer := h.ask(t, "/", nil); answer != "hello world\n" {
			t.Errorf("%q", answer)
		}
	}
	for _, h := range slices.Backward(hosts) {
		if err := h.Shutdown(); err != nil {
			t.Fatal(err)
		}
		h.wantExit(t, 0)
	}
}

// TestWindowsProgram is the command itself behind IIS's CGI module.
func TestWindowsProgram(t *testing.T) {
	log := filepath.Join(temporary(t, "log"), "log")
	cmd := exec.Command(self(t))
	cmd.Env = append(os.Environ(), commandVariable+"=1", "GATEHOUSE_LOG="+log, "GATEWAY_INTERFACE=CGI/1.1", "SERVER_SOFTWARE=Microsoft-IIS/10.0",
		"REQUEST_METHOD=GET", "SCRIPT_NAME=/gatehouse.exe", "PATH_INFO=/gatehouse.exe/Привет", "REQUEST_URI=/gatehouse.exe/%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82",
		"SERVER_PROTOCOL=HTTP/1.1", "SERVER_NAME=localhost", "SERVER_PORT=80", "CONTENT_LENGTH=0", "CONTENT_TYPE=", "HTTPS=off")
	out, err := cmd.Output()
	if text, _ := os.ReadFile(log); err != nil || !strings.HasPrefix(string(out), "Status: 200 OK\r\n") ||
		!strings.Contains(string(out), "\nSCRIPT_NAME = '/gatehouse.exe'\n") || strings.Contains(string(out), "\nHTTPS = ") {
		t.Errorf("%v, %q\n%s", err, out, text)
	}
}

// TestWindowsMistakes: what the command says of the usual mistakes.
func TestWindowsMistakes(t *testing.T) {
	name := fmt.Sprintf("gatehouse-none-%d", os.Getpid())
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"service uninstall --name " + name, 2, "service " + name + ": there is none of this name: write its --name"},
		{"request --fastcgi npipe:" + name + " /", 1, "there is no such pipe; is the application running?"},
		{"request --iis C:\\none.exe /", 1, "gatehouse: C:\\none.exe: "},
		{"serve --fastcgi npipe:x,sddl=everybody --app hello", 2, `npipe:x: "everybody" is no security descriptor (SDDL)`},
	} {
		cmd := exec.Command(self(t), strings.Fields(c.args)...)
		cmd.Env = append(os.Environ(), commandVariable+"=1")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != c.status || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, %q; want %d and %q", c.args, err, out, c.status, c.want)
		}
	}
	// From a console there is no service manager, for which wine waits ten seconds.
	cmd := exec.Command(self(t), "service", "run", "--log", os.DevNull)
	cmd.Env = append(os.Environ(), commandVariable+"=1")
	out, _ := cmd.CombinedOutput()
	if want := "service run is for Windows itself: say gatehouse serve, or gatehouse service install"; cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), want) {
		t.Errorf("service run: %v, %q", cmd.ProcessState, out)
	}
}
