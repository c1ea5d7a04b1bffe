//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// CGI programs in C. sender writes the same block as block does.
const (
	helloC = `#include <stdio.h>
int main(void) { fputs("Content-Type: text/plain\r\n\r\nhello world\n", stdout); return 0; }
`

	senderC = `#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static unsigned char block[65536];
int main(void) {
	static const char head[] = "Content-Type: text/plain\r\n\r\n";
	const char *q = getenv("QUERY_STRING");
	long long left;
	int i;
	if (!q || strncmp(q, "size=", 5)) return 1;
	for (i = 0; i < sizeof block; i++) block[i] = i ^ (i >> 8) * 7;
	if (write(1, head, sizeof head - 1) != sizeof head - 1) return 1;
	for (left = atoll(q + 5); left > 0;) {
		ssize_t n = write(1, block, left < sizeof block ? left : sizeof block);
		if (n <= 0 || (n < sizeof block && n != left)) return 1;
		left -= n;
	}
	return 0;
}
`

	readerC = `#include <stdio.h>
#include <unistd.h>
static char block[65536];
int main(void) {
	long long sum = 0;
	ssize_t n;
	while ((n = read(0, block, sizeof block)) > 0) sum += n;
	if (n < 0) return 1;
	printf("Content-Type: text/plain\r\n\r\n%lld\n", sum);
	return 0;
}
`
)

// scripts are hello in other languages, by file name.
var scripts = map[string]string{
	"hello.sh": "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nhello world\\n'\n",
	"hello.pl": "#!/usr/bin/perl\nprint \"Content-Type: text/plain\\r\\n\\r\\nhello world\\n\";\n",
	"hello.py": "#!/usr/bin/python3\nprint('Content-Type: text/plain\\r\\n\\r\\nhello world')\n",
}

// writePrograms builds the CGI programs of the workshop.
func (w *workshop) writePrograms() error {
	err := errors.Join(
		w.compile("hello", helloC, "-static"),
		w.compile("sender", senderC, "-static"),
		w.compile("reader", readerC, "-static"))
	for name, text := range scripts {
		err = errors.Join(err, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o755))
	}
	// php-fpm's workers are another user.
	err = errors.Join(err, os.Chmod(w.dir, 0o755), os.Mkdir(filepath.Join(w.dir, "php"), 0o755))
	for name, text := range pages {
		err = errors.Join(err, os.WriteFile(filepath.Join(w.dir, "php", name), []byte(text), 0o644))
	}
	err = errors.Join(err, os.Mkdir(filepath.Join(w.dir, "wsgi"), 0o755))
	for name, text := range wsgiApplications {
		err = errors.Join(err, os.WriteFile(filepath.Join(w.dir, "wsgi", name), []byte(text), 0o644))
	}
	return err
}

// A process is a CGI program started by a bare loop.
type process struct {
	pid     int
	in, out blocking // our ends of its pipes; in is -1 without a body
}

// startProcess starts a program with a pipe for its output. If body is true, its input
// is a pipe, too, and otherwise stdin. If size is not 0, it is the size of the pipes.
func startProcess(path string, env []string, stdin uintptr, body bool, size int) (*process, error) {
	p := &process{in: -1}
	var in, out [2]int
	if err := unix.Pipe2(out[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	p.out = blocking(out[0])
	defer unix.Close(out[1])
	if body {
		if err := unix.Pipe2(in[:], unix.O_CLOEXEC); err != nil {
			return nil, err
		}
		defer unix.Close(in[0])
		p.in, stdin = blocking(in[1]), uintptr(in[0])
	}
	if size > 0 {
		unix.FcntlInt(uintptr(out[0]), unix.F_SETPIPE_SZ, size)
		if body {
			unix.FcntlInt(uintptr(in[1]), unix.F_SETPIPE_SZ, size)
		}
	}
	var err error
	p.pid, err = syscall.ForkExec(path, []string{path}, &syscall.ProcAttr{Env: env, Files: []uintptr{stdin, uintptr(out[1]), 2}})
	return p, err
}

// wait reaps a process whose output has been read.
func (p *process) wait() error {
	p.out.Close()
	for {
		_, err := syscall.Wait4(p.pid, nil, 0, nil)
		if err != syscall.EINTR {
			return err
		}
	}
}
