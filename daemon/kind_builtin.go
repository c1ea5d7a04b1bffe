package daemon

import (
	"gatehouse/cgi"
	"gatehouse/cgi/simpleserver"
)

// A builtin is an application that is part of gatehouse and has nothing to configure.
type builtin struct{ name string }

// Demo returns the kind of wsgiref's demo_app, which shows what the web server sent.
func Demo() Kind { return builtin{"demo"} }

// Hello returns the kind that responds with "hello world\n", for measurements.
func Hello() Kind { return builtin{"hello"} }

func (k builtin) traits() traits { return traits{name: k.name} }

func (k builtin) keys() []Key {
	text := "instead of scripts: a page of the variables that the web server sent"
	if k.name == "hello" {
		text = `instead of scripts: the text "hello world"`
	}
	return []Key{row(k.name, `true`, text, flag(new(bool)))}
}

func (builtin) parse(string) error { return nil }

func (k builtin) prepare(preparation) (cgi.App, func() error, error) {
	closeApp := func() error { return nil }
	if k.name == "hello" {
		return cgi.AppFunc(hello), closeApp, nil
	}
	return cgi.AppFunc(simpleserver.DemoApp), closeApp, nil
}

func (k builtin) configured() string { return k.traits().long() }

// helloFields is the header of the hello application.
var helloFields = []cgi.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}}

var helloText = []byte("hello world\n")

// hello responds with "hello world\n", without allocating.
func hello(w cgi.ResponseWriter, _ *cgi.Request) error {
	if err := w.StartResponse("200 OK", helloFields); err != nil {
		return err
	}
	_, err := w.Write(helloText)
	return err
}
