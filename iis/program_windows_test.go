package iis_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"gatehouse/cgi/process"
	"gatehouse/internal/testkit"

	"golang.org/x/sys/windows"
)

// runProgram runs this test as a CGI program of IIS, whose standard input does not end, and
// returns its output and log.
func runProgram(t *testing.T, body string, env ...string) (out, log string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := tempFile(t)
	l, err := process.NewLauncher(process.Rules{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Start(&process.Command{Path: exe, Args: []string{exe}, Env: environ(append([]string{childVariable + "=gatehouse", "GATEHOUSE_LOG=" + file,
		"GATEWAY_INTERFACE=CGI/1.1", "SERVER_SOFTWARE=Microsoft-IIS/10.0", "SCRIPT_NAME=/app.exe"}, env...)...)})
	if err != nil {
		t.Fatal(err)
	}
	go p.Wait()
	var outputs sync.WaitGroup
	var stdout, stderr bytes.Buffer
	for r, w := range map[io.Reader]io.Writer{p.Stdout: &stdout, p.Stderr: &stderr} {
		outputs.Go(func() { io.Copy(w, r) })
	}
	outputs.Go(func() { io.WriteString(p.Stdin, body) })
	select {
	case <-p.Exited():
	case <-time.After(testkit.Patience):
		t.Error("the program does not end")
		p.Terminate(0)
	}
	p.Stdin.Close()
	outputs.Wait()
	if s := p.Status(); s != (process.Status{}) {
		t.Errorf("it ends by %v", s)
	}
	if stderr.Len() > 0 {
		t.Errorf("it writes to its standard error: %q", stderr.Bytes())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	}
	return stdout.String(), string(b)
}

// TestProgram is IIS's CGI module: an environment in UTF-16, with empty values, and a
// standard input that does not end with the body.
func TestProgram(t *testing.T) {
	const path = "/Привет/😀/x"
	out, _ := runProgram(t, "", "REQUEST_METHOD=GET", "PATH_INFO=/app.exe"+path+"/env", "REQUEST_URI=/app.exe"+
		"/%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82/%F0%9F%98%80/x/env", "CONTENT_TYPE=", "CONTENT_LENGTH=0", "HTTPS=off", "HTTP_X=a\xed\xa0\x80b")
	for _, want := range []string{"PATH_INFO=\"" + path + "/env\"\n", "SCRIPT_NAME=\"/app.exe\"\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("the variables lack %q:\n%s", want, out)
		}
	}
	for _, name := range []string{"\nCONTENT_TYPE=", "\nHTTPS="} {
		if strings.Contains(out, name) {
			t.Errorf("there is %q:\n%s", name, out)
		}
	}
	if !strings.Contains(out, "HTTP_X=\"a\\xed\\xa0\\x80b\"\n") {
		t.Errorf("half of a pair is not what it was:\n%s", out)
	}
	mega := strings.Repeat("0123456789abcde\n", 1<<16)
	out, _ = runProgram(t, mega+"more", "REQUEST_METHOD=POST", "PATH_INFO=/app.exe/echo", fmt.Sprint("CONTENT_LENGTH=", len(mega)))
	if _, body, _ := strings.Cut(out, "\r\n\r\n"); body != mega {
		t.Errorf("%d bytes of %d have come back", len(body), len(mega))
	}
	out, log := runProgram(t, "", "REQUEST_METHOD=GET", "PATH_INFO=/app.exe/stderr")
	if !strings.Contains(log, "said on os.Stderr") || !strings.Contains(log, "said on Request.Stderr") || strings.Contains(out, "said on") {
		t.Errorf("the log is %q, the response %q", log, out)
	}
}

// TestTCP is protocol="Tcp": a listening socket as standard input.
func TestTCP(t *testing.T) {
	for _, kind := range []string{"iis", "gatehouse"} {
		t.Run(kind, func(t *testing.T) { testTCP(t, kind) })
	}
}

func testTCP(t *testing.T, kind string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	file := tempFile(t)
	raw.Control(func(fd uintptr) {
		err = runSocket(t, kind, windows.Handle(fd), file)
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if want := `leave the default, protocol="NamedPipe"`; err != nil || !strings.Contains(string(b), want) {
		t.Errorf("got %q, %v, want %q", b, err, want)
	}
}

// runSocket runs this test with a socket as standard input, and waits for its end.
func runSocket(t *testing.T, kind string, s windows.Handle, log string) error {
	t.Setenv(childVariable, kind)
	t.Setenv("GATEHOUSE_LOG", log)
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	path, err := windows.UTF16PtrFromString(exe)
	if err != nil {
		return err
	}
	if err := windows.SetHandleInformation(s, windows.HANDLE_FLAG_INHERIT, windows.HANDLE_FLAG_INHERIT); err != nil {
		return err
	}
	si := &windows.StartupInfo{Flags: windows.STARTF_USESTDHANDLES, StdInput: s, StdOutput: windows.InvalidHandle, StdErr: windows.InvalidHandle}
	si.Cb = uint32(unsafe.Sizeof(*si))
	var pi windows.ProcessInformation
	if err := windows.CreateProcess(path, nil, nil, nil, true, 0, nil, nil, si, &pi); err != nil {
		return err
	}
	defer windows.CloseHandle(pi.Process)
	defer windows.CloseHandle(pi.Thread)
	if _, err := windows.WaitForSingleObject(pi.Process, uint32(testkit.Patience.Milliseconds())); err != nil {
		return err
	}
	var status uint32
	if err := windows.GetExitCodeProcess(pi.Process, &status); err != nil || status != 3 {
		t.Errorf("exit status %d, %v", status, err)
	}
	return nil
}
