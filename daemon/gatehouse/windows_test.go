//go:build windows

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"gatehouse/internal/testkit"
)

// commandVariable has this test binary be the gatehouse command.
const commandVariable = "GATEHOUSE_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(scriptVariable) != "" {
		playScript()
		return
	}
	if os.Getenv(commandVariable) != "" || len(os.Args) > 1 && os.Args[1] == "service" {
		main()
		return
	}
	testkit.Main(m)
}

// A daemonProcess is "gatehouse serve" in a process of its own.
type daemonProcess struct {
	cmd   *exec.Cmd
	lines chan string // of its log
	ended chan error
}

// startGatehouse starts it, in a process group of its own, so that it alone gets a Ctrl-Break.
func startGatehouse(t *testing.T, program string, args ...string) *daemonProcess {
	t.Helper()
	return startGatehouseWith(t, nil, program, args...)
}

// startGatehouseWith starts it with variables.
func startGatehouseWith(t *testing.T, env []string, program string, args ...string) *daemonProcess {
	t.Helper()
	d := &daemonProcess{cmd: exec.Command(program, args...), lines: make(chan string, 1000), ended: make(chan error, 1)}
	d.cmd.Env = append(append(os.Environ(), commandVariable+"=1"), env...)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(stderr); s.Scan(); {
			d.lines <- s.Text()
		}
		close(d.lines)
		d.ended <- d.cmd.Wait()
	}()
	t.Cleanup(func() {
		d.cmd.Process.Kill()
		for range d.lines {
		}
	})
	return d
}

// listening returns the address that the log tells for a protocol.
func (d *daemonProcess) listening(t *testing.T, protocol string) string {
	t.Helper()
	var seen []string
	for late := time.After(testkit.Patience); ; {
		select {
		case line, ok := <-d.lines:
			var l struct{ Msg, Protocol, Address string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "listening" && l.Protocol == protocol {
				return l.Address
			}
			if seen = append(seen, line); !ok {
				t.Fatalf("gatehouse has ended: %v\n%s", <-d.ended, strings.Join(seen, "\n"))
			}
		case <-late:
			t.Fatalf("it does not listen:\n%s", strings.Join(seen, "\n"))
		}
	}
}

// interrupt sends a Ctrl-Break, and returns how the process ends. Where wine sends none, it
// kills the process: TestWineInterrupt has wine's Ctrl-C.
func (d *daemonProcess) interrupt(t *testing.T) error {
	t.Helper()
	err := windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(d.cmd.Process.Pid))
	unsent := errors.Is(err, windows.ERROR_INVALID_HANDLE) && onWine()
	switch {
	case unsent:
		t.Log("there is no console: wine sends no Ctrl-Break")
		d.cmd.Process.Kill()
	case err != nil:
		t.Fatal("Ctrl-Break:", err)
	}
	for range d.lines {
	}
	if err = <-d.ended; unsent {
		return nil
	}
	return err
}

// needConsole gives this process a console, which Ctrl-Break needs, unless it has one.
func needConsole() {
	kernel := windows.NewLazySystemDLL("kernel32.dll")
	if ok, _, _ := kernel.NewProc("GetConsoleCP").Call(); ok != 0 {
		return
	}
	kernel.NewProc("FreeConsole").Call()
	kernel.NewProc("AllocConsole").Call()
}

func onWine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// runGatehouse runs a command to its end, and returns what it prints.
func runGatehouse(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(self(t), args...)
	cmd.Env = append(os.Environ(), commandVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("gatehouse %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// temporary returns a directory, which wine could not remove if it were T.TempDir.
func temporary(t *testing.T, files ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gatehouse")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range files {
			os.Remove(filepath.Join(dir, name))
		}
		os.Remove(dir)
	})
	return dir
}

func get(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: testkit.Patience}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(body), " ", err)
}

// TestWindowsServe serves over TCP and named pipes, runs a program, passes requests on to named
// pipes, and drains on Ctrl-Break.
func TestWindowsServe(t *testing.T) {
	needConsole()
	dir := temporary(t, "hello.cmd")
	if err := os.WriteFile(filepath.Join(dir, "hello.cmd"), []byte("@echo Content-Type: text/plain\r\n@echo.\r\n@echo hello %PATH_INFO%\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	pipe := fmt.Sprintf("npipe:gatehouse-test-%d", os.Getpid())
	d := startGatehouse(t, self(t), "serve", "--http", "127.0.0.1:0", "--fastcgi", pipe+"-f", "--scgi", pipe+"-s,sddl=D:P(A;;GA;;;SY)(A;;GA;;;BA)",
		"--app", "hello", "--app", "/cgi=scripts:"+dir)
	address := d.listening(t, "http")
	if got := d.listening(t, "fastcgi"); got != pipe+"-f" {
		t.Errorf("FastCGI on %s; want %s", got, pipe+"-f")
	}
	d.listening(t, "scgi")
	if got := get(t, "http://"+address+"/"); got != "200 hello world\n <nil>" {
		t.Errorf("over HTTP: %q", got)
	}
	if got := get(t, "http://"+address+"/cgi/hello.cmd/x"); !strings.HasPrefix(got, "200 hello /x") {
		t.Errorf("a program: %q", got)
	}
	for _, to := range []string{"--fastcgi=" + pipe + "-f", "--scgi=" + pipe + "-s"} {
		if got := runGatehouse(t, "request", to, "/"); got != "hello world\n" {
			t.Errorf("%s: %q", to, got)
		}
	}
	front := startGatehouse(t, self(t), "serve", "--http", "127.0.0.1:0", "--app", "/cgi=fastcgi:"+pipe+"-f", "--app", "/=scgi:"+pipe+"-s", "--app", "/none=scgi:"+pipe+"-n")
	address = front.listening(t, "http")
	for path, want := range map[string]string{"/cgi/hello.cmd/x": "200 hello /x", "/": "200 hello world\n", "/none": "502 "} {
		if got := get(t, "http://"+address+path); !strings.HasPrefix(got, want) {
			t.Errorf("%s, passed on to a pipe: %q; want %q", path, got, want)
		}
	}
	for _, d := range []*daemonProcess{front, d} {
		if err := d.interrupt(t); err != nil {
			t.Errorf("Ctrl-Break: %v; want exit status 0", err)
		}
	}
}

// TestWindowsReplace replaces the program while it serves: Windows lets nobody write or remove
// it, but rename it.
func TestWindowsReplace(t *testing.T) {
	needConsole()
	dir := temporary(t, "gatehouse.exe", "gatehouse-old.exe")
	program := filepath.Join(dir, "gatehouse.exe")
	copyTo := func() error {
		b, err := os.ReadFile(self(t))
		if err != nil {
			t.Fatal(err)
		}
		return os.WriteFile(program, b, 0o755)
	}
	if err := copyTo(); err != nil {
		t.Fatal(err)
	}
	old := startGatehouse(t, program, "serve", "--http", "127.0.0.1:0", "--app", "hello")
	oldAddress := old.listening(t, "http")
	t.Logf("writing the program while it runs: %v", copyTo())
	if err := os.Rename(program, filepath.Join(dir, "gatehouse-old.exe")); err != nil {
		t.Fatal("renaming the program while it runs:", err)
	}
	if err := copyTo(); err != nil {
		t.Fatal("the new program:", err)
	}
	d := startGatehouse(t, program, "serve", "--http", "127.0.0.1:0", "--app", "hello")
	for _, address := range []string{oldAddress, d.listening(t, "http")} {
		if got := get(t, "http://"+address+"/"); got != "200 hello world\n <nil>" {
			t.Errorf("%q", got)
		}
	}
	for _, d := range []*daemonProcess{old, d} {
		if err := d.interrupt(t); err != nil {
			t.Errorf("%v; want exit status 0", err)
		}
	}
}

// TestWindowsService installs a service, starts and stops it, and removes it.
func TestWindowsService(t *testing.T) {
	dir := temporary(t, "log", "gatehouse.toml")
	log, config := filepath.Join(dir, "log"), filepath.Join(dir, "gatehouse.toml")
	if err := os.WriteFile(config, []byte("http = \"127.0.0.1:0\"\n[[app]]\nhello = true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("gatehouse-test-%d", os.Getpid())
	runGatehouse(t, "service", "install", "--name", name, "--account", "LocalSystem", "--log", log, "--config", config)
	cmd := exec.Command(self(t), "service", "install", "--name", name, "--account", "LocalSystem", "--log", log, "--config", config)
	cmd.Env = append(os.Environ(), commandVariable+"=1")
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "there is one of this name: remove it (gatehouse service uninstall), or write another --name") {
		t.Errorf("the same name again: %v, %s", cmd.ProcessState, out)
	}
	m, err := mgr.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if actions, err := s.RecoveryActions(); err != nil && !onWine() || err == nil && len(actions) != 3 && !onWine() {
		t.Errorf("recovery actions %v, %v; want 3", actions, err)
	}
	if err := s.Start(); err != nil {
		t.Fatal("start:", err)
	}
	var address string
	testkit.Until(t, "the service listens", func() bool {
		text, _ := os.ReadFile(log)
		for line := range strings.Lines(string(text)) {
			var l struct{ Msg, Address string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "listening" {
				address = l.Address
			}
		}
		return address != ""
	})
	if got := get(t, "http://"+address+"/"); got != "200 hello world\n <nil>" {
		t.Errorf("%q", got)
	}
	if _, err := s.Control(svc.ParamChange); err != nil {
		t.Error("paramchange:", err)
	}
	logged := func(text string) func() bool {
		return func() bool {
			got, _ := os.ReadFile(log)
			return strings.Contains(string(got), text)
		}
	}
	testkit.Until(t, "a reload", logged("configuration reloaded"))
	runGatehouse(t, "service", "uninstall", "--name", name)
	testkit.Until(t, "a drain", logged(`"msg":"draining"`))
	if t.Failed() {
		text, _ := os.ReadFile(log)
		t.Logf("%s", text)
	}
}
