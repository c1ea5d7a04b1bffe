package iis_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// runProgram runs this test as a CGI program of IIS, and returns its output and log.
func runProgram(t *testing.T, stdin io.Reader, env ...string) (out, log string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := tempFile(t)
	cmd := exec.Command(exe)
	cmd.Env = append(append(os.Environ(), childVariable+"=gatehouse", "GATEHOUSE_LOG="+file, "GATEWAY_INTERFACE=CGI/1.1",
		"SERVER_SOFTWARE=Microsoft-IIS/10.0", "SCRIPT_NAME=/app.exe"), env...)
	cmd.Stdin = stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("%v", err)
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
	out, _ := runProgram(t, nil, "REQUEST_METHOD=GET", "PATH_INFO=/app.exe"+path+"/env", "REQUEST_URI=/app.exe"+
		"/%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82/%F0%9F%98%80/x/env", "CONTENT_TYPE=", "CONTENT_LENGTH=0", "HTTPS=off")
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
	r, w := io.Pipe()
	go w.Write([]byte("0123456789more"))
	defer r.Close()
	if out, _ := runProgram(t, io.LimitReader(r, 10), "REQUEST_METHOD=POST", "PATH_INFO=/app.exe/echo", "CONTENT_LENGTH=10"); !strings.HasSuffix(out, "\r\n\r\n0123456789") {
		t.Errorf("got %q", out)
	}
	out, log := runProgram(t, nil, "REQUEST_METHOD=GET", "PATH_INFO=/app.exe/stderr")
	if !strings.Contains(log, "said on os.Stderr") || !strings.Contains(log, "said on Request.Stderr") || strings.Contains(out, "said on") {
		t.Errorf("the log is %q, the response %q", log, out)
	}
}

// TestTCP is protocol="Tcp": a listening socket as standard input.
func TestTCP(t *testing.T) {
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
		err = runSocket(t, windows.Handle(fd), file)
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
func runSocket(t *testing.T, s windows.Handle, log string) error {
	t.Setenv(childVariable, "iis")
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
	_, err = windows.WaitForSingleObject(pi.Process, 60_000)
	return err
}
