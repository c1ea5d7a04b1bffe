//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"

	"gatehouse/fastcgi/record"
	"gatehouse/scgi"
)

// ask is a program that makes one request, as a web server does, and prints the
// response:
//
//	ask http|scgi ADDR PATH
//	ask fastcgi ADDR PATH [NAME=VALUE]...     with further variables
//	ask inetd PATH COMMAND...     the command gets a connection as its descriptor 0
//
// It fails if the response is truncated. When the first line of the body has arrived it
// makes the empty file that $BEGUN names.
func ask() {
	if err := makeRequest(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func makeRequest(protocol string, args []string) error {
	if protocol == "inetd" {
		return askInetd(args[0], args[1:])
	}
	network, address := "tcp", args[0]
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	if protocol == "http" {
		return askHTTP(network, address, args[1])
	}
	c, err := net.Dial(network, address)
	if err != nil {
		return err
	}
	defer c.Close()
	if protocol == "fastcgi" {
		return askFastCGI(c, args[1], args[2:])
	}
	return askSCGI(c, args[1])
}

func askHTTP(network, address, path string) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	resp, err := client.Get("http://gate" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Println("Status:", resp.Status)
	_, err = io.Copy(new(printer), resp.Body)
	return err
}

// printer prints a response, and reports when it begins.
type printer struct{ seen []byte }

func (p *printer) Write(b []byte) (int, error) {
	p.seen = append(p.seen, b...)
	if name := os.Getenv("BEGUN"); name != "" && bytes.Contains(p.seen, []byte("begun\n")) {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			return 0, err
		}
		os.Unsetenv("BEGUN")
	}
	return os.Stdout.Write(b)
}

func variables(path string) [][2]string {
	return [][2]string{{"CONTENT_LENGTH", "0"}, {"SCGI", "1"}, {"REQUEST_METHOD", "GET"}, {"REQUEST_URI", path},
		{"SERVER_PROTOCOL", "HTTP/1.1"}, {"REMOTE_ADDR", "192.0.2.1"}}
}

func askFastCGI(c net.Conn, path string, more []string) error {
	var params []byte
	for _, v := range variables(path) {
		params = record.AppendPair(params, v[0], v[1])
	}
	for _, v := range more {
		name, value, _ := strings.Cut(v, "=")
		params = record.AppendPair(params, name, value)
	}
	b := record.AppendBegin(nil, 1, record.Responder, 0)
	b = record.AppendStream(b, record.Params, 1, params)
	b = record.AppendRecord(b, record.Params, 1, nil)
	b = record.AppendRecord(b, record.Stdin, 1, nil)
	if _, err := c.Write(b); err != nil {
		return err
	}
	out := new(printer)
	for r := record.NewReader(c); ; {
		h, content, err := r.Next()
		if err == io.EOF {
			err = errors.New("the connection ends before the request")
		}
		if err != nil {
			return err
		}
		switch h.Type() {
		case record.Stdout:
			if _, err := out.Write(content); err != nil {
				return err
			}
		case record.Stderr:
			os.Stderr.Write(content)
		case record.EndRequest:
			return nil
		}
	}
}

func askSCGI(c net.Conn, path string) error {
	var head []byte
	for _, v := range variables(path) {
		head = append(head, v[0]+"\x00"+v[1]+"\x00"...)
	}
	if _, err := c.Write(scgi.AppendNetstring(nil, head)); err != nil {
		return err
	}
	_, err := io.Copy(new(printer), c)
	return err
}

// askInetd is inetd: it accepts a connection and gives it to the command.
func askInetd(path string, command []string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		return err
	}
	f, err := s.(*net.TCPConn).File()
	s.Close()
	if err != nil {
		return err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f, f, os.Stderr
	err = cmd.Start()
	f.Close()
	if err != nil {
		return err
	}
	return errors.Join(askSCGI(c, path), cmd.Wait())
}
