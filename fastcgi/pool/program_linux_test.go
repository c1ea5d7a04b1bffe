package pool

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// TestMain is also the program of the tests.
func TestMain(m *testing.M) {
	switch os.Getenv("POOL_PROGRAM") {
	case "":
		testkit.Main(m)
	case "fastcgi":
		serveProgram()
	case "paired":
		servePaired()
	case "cgi":
		fmt.Print("Content-Type: text/plain\r\n\r\nhello\n")
	case "deaf":
		var b [1]byte
		os.Stdout.Write([]byte("deaf\n"))
		r, _, _ := os.Pipe()
		r.Read(b[:])
	case "hold":
		hold(os.Getenv("POOL_AT"))
	case "turns": // the first one starts
		if os.Remove(os.Getenv("POOL_FILE")) != nil {
			os.Exit(3)
		}
		serveProgram()
	case "late": // it starts once there is a file
		if _, err := os.Stat(os.Getenv("POOL_FILE")); err != nil {
			fmt.Fprintln(os.Stderr, "no file")
			os.Exit(3)
		}
		serveProgram()
	}
}

// serveProgram is a FastCGI program that serves one connection after the other, and one request
// after the other.
func serveProgram() {
	l, err := net.FileListener(os.Stdin)
	if err != nil {
		panic(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			panic(err)
		}
		r := record.NewReader(c)
		for serveRequest(c, r, respond) {
		}
		c.Close()
	}
}

// servePaired is a paired program that serves one request after the other.
func servePaired() {
	c, err := net.FileConn(os.Stdin)
	if err != nil {
		panic(err)
	}
	preamble := make([]byte, len(testPreamble))
	if _, err := io.ReadFull(c, preamble); err != nil || string(preamble) != testPreamble {
		panic(fmt.Sprintf("preamble %q, %v", preamble, err))
	}
	start()
	r := record.NewReader(c)
	h, _, err := r.Next()
	if err != nil || h.Type() != record.GetValues {
		panic(fmt.Sprintf("%v, %v", h, err))
	}
	c.Write(record.AppendRecord(nil, record.GetValuesResult, 0, record.AppendPair(nil, "FCGI_MPXS_CONNS", "0")))
	if os.Getenv("POOL_READY") == "exit" {
		os.Exit(4)
	}
	for serveRequest(c, r, respondPaired) {
	}
	if os.Getenv("POOL_END") == "never" {
		hold(os.Getenv("POOL_ENDS_AT"))
	}
}

// start does what the environment says, in place of an import.
func start() {
	if name := os.Getenv("POOL_FILE"); name != "" {
		if _, err := os.Stat(name); err != nil {
			fmt.Fprintln(os.Stderr, "Traceback (most recent call last):")
			os.Exit(1)
		}
	}
	if os.Getenv("POOL_END") == "never" {
		signal.Ignore(syscall.SIGTERM)
	}
	if at := os.Getenv("POOL_AT"); at != "" && hold(at) {
		fmt.Fprintln(os.Stderr, "told to fail")
		os.Exit(1)
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for range asked {
			fmt.Fprintln(os.Stderr, "what I do")
		}
	}()
}

const testPreamble = "import this"

var isFree = record.AppendRecord(nil, record.GetValuesResult, 0, nil)

// respondPaired does what DO says, and says that the process is free.
func respondPaired(c net.Conn, id uint16, vars map[string]string, body int) bool {
	servedRequests++
	free, end := isFree, record.AppendEndRequest(nil, id, 0, record.RequestComplete)
	do := vars["DO"]
	switch do {
	case "hold":
		hold(vars["AT"])
	case "crash":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "burn":
		for n := 0; ; n++ {
		}
	case "garbage":
		c.Write([]byte("garbage and more of it"))
		return true
	case "twice":
		free = append(slices.Clone(isFree), isFree...)
	case "otherid":
		end = record.AppendEndRequest(nil, id+7, 0, record.RequestComplete)
	case "noend":
		end = nil
	}
	text := fmt.Sprintf("Content-Type: text/plain\n\n%d %d %d %s", os.Getpid(), servedRequests, body, os.Getenv(vars["ENV"]))
	b := record.AppendStream(nil, record.Stdout, id, []byte(text))
	switch do {
	case "after": // its close() takes long
		c.Write(append(b, end...))
		hold(vars["AT"])
		c.Write(free)
	case "behind": // its END_REQUEST comes first
		c.Write(slices.Concat(b, end, free))
	case "crashclose":
		c.Write(append(b, end...))
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "crashidle":
		c.Write(slices.Concat(b, free, end))
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "refree":
		c.Write(slices.Concat(b, free, end))
		hold(vars["AT"])
		c.Write(free)
	default:
		c.Write(slices.Concat(b, free, end))
	}
	return true
}

var servedRequests int

// serveRequest does what DO says.
func serveRequest(c net.Conn, r *record.Reader, respond func(c net.Conn, id uint16, vars map[string]string, body int) bool) (keep bool) {
	vars := make(map[string]string)
	body := 0
	for {
		h, content, err := r.Next()
		if err != nil {
			return false
		}
		switch h.Type() {
		case record.Params:
			for p := content; len(p) > 0; {
				var name, value []byte
				if name, value, p, err = record.NextPair(p); err != nil {
					panic(err)
				}
				vars[string(name)] = string(value)
			}
		case record.Stdin:
			if body += len(content); len(content) == 0 {
				return respond(c, h.ID(), vars, body)
			}
		}
	}
}

func respond(c net.Conn, id uint16, vars map[string]string, body int) bool {
	if name := os.Getenv("POOL_COUNT"); name != "" {
		f, _ := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		fmt.Fprintln(f, vars["N"])
		f.Close()
	}
	servedRequests++
	do := vars["DO"]
	switch do {
	case "crash":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "hold":
		hold(vars["AT"])
	case "burn":
		for n := 0; ; n++ {
		}
	case "grow", "growhold":
		b := make([]byte, 64<<20)
		for i := range b {
			b[i] = 1
		}
		if do == "growhold" {
			hold(vars["AT"])
		}
	case "stderr":
		fmt.Fprintln(os.Stderr, cmp.Or(vars["SAY"], "a word to the log"))
	case "orphan": // the child has the connection
		f, _ := c.(*net.UnixConn).File()
		child := exec.Command("/proc/self/exe")
		child.Env = []string{"POOL_PROGRAM=hold", "POOL_AT=" + vars["AT"]}
		child.ExtraFiles = []*os.File{f}
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		child.Start()
		os.Exit(1)
	}
	more := os.Getenv(vars["ENV"])
	if do == "report" {
		more = report(vars["READ"], vars["WRITE"])
	}
	text := fmt.Sprintf("Content-Type: text/plain\n\n%d %d %d %s", os.Getpid(), servedRequests, body, more)
	b := record.AppendStream(nil, record.Stdout, id, []byte(text))
	if do == "errors" {
		b = record.AppendStream(b, record.Stderr, id, []byte(vars["SAY"]+"\n"))
	}
	if do == "break" {
		c.Write(append(b, record.AppendStream(nil, record.Stdout, id, []byte(strings.Repeat("x", 20000)))...))
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	b = record.AppendRecord(b, record.Stdout, id, nil)
	c.Write(record.AppendEndRequest(b, id, 0, record.RequestComplete))
	switch do {
	case "after":
		hold(vars["AT"])
	case "close":
		return false
	}
	if os.Getenv("POOL_LAST") == fmt.Sprint(servedRequests) {
		os.Exit(0)
	}
	return true
}

// hold returns when the test closes a connection, and whether the test has called fail before.
func hold(at string) (failed bool) {
	c, err := net.Dial("unix", at)
	if err != nil {
		return false
	}
	var b [1]byte
	n, _ := c.Read(b[:])
	return n > 0
}

// fail lets a program fail that holds, and waits for a connection to be closed.
func fail(c net.Conn) { c.Write([]byte{0}) }
