package daemon

import (
	"gatehouse/cgi"
	"gatehouse/cgi/simpleserver"
)

// A builtin is an application that is in gatehouse itself, and has nothing to configure.
type builtin struct{ name string }

// Demo is the kind of wsgiref's demo_app, which shows what the web server sent.
func Demo() Kind { return builtin{"demo"} }

// Hello is the kind that answers "hello world\n", for measuring.
func Hello() Kind { return builtin{"hello"} }

func (k builtin) traits() traits { return traits{name: k.name} }

func (k builtin) keys() []Key {
	text := "in place of scripts: shows the variables that the web server sent"
	if k.name == "hello" {
		text = `in place of scripts: answers "hello world"`
	}
	return []Key{row(k.name, `true`, text, flag(new(bool)))}
}

func (builtin) parse(string) error { return nil }

func (k builtin) prepare(preparation) (cgi.App, func() error, error) {
	end := func() error { return nil }
	if k.name == "hello" {
		return cgi.AppFunc(hello), end, nil
	}
	return cgi.AppFunc(simpleserver.DemoApp), end, nil
}

func (k builtin) configured() string { return k.traits().long() }

// helloFields is the head of the hello application.
var helloFields = []cgi.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}}

var helloText = []byte("hello world\n")

// hello answers "hello world\n" and allocates nothing.
func hello(w cgi.ResponseWriter, _ *cgi.Request) error {
	if err := w.StartResponse("200 OK", helloFields); err != nil {
		return err
	}
	_, err := w.Write(helloText)
	return err
}
