package cgi_test

import (
	"errors"
	"fmt"
	"strings"

	"gatehouse/cgi"
)

// What a web server sends is added in order, and what it repeats is resolved.
func ExampleEnviron() {
	var env cgi.Environ
	for _, v := range [][2]string{
		{"REQUEST_METHOD", "GET"},
		{"HTTP_COOKIE", "a=1"},
		{"HTTP_ACCEPT", "text/html"},
		{"HTTP_COOKIE", "b=2"},
		{"HTTP_ACCEPT", "text/plain"},
		{"SERVER_PORT", "80"},
		{"SERVER_PORT", "8080"},
	} {
		if err := env.Add(v[0], v[1]); err != nil {
			fmt.Println(err)
		}
	}
	for name, value := range env.All() {
		fmt.Println(name, "is", value)
	}
	err := env.Add("HTTP_X", "a\x00b")
	fmt.Println(errors.Is(err, cgi.ErrNUL), err)
	// Output:
	// REQUEST_METHOD is GET
	// HTTP_COOKIE is a=1; b=2
	// HTTP_ACCEPT is text/html, text/plain
	// SERVER_PORT is 8080
	// true NUL byte in a variable: "HTTP_X"
}

// A dict of Python's, in other words.
func ExampleNewEnviron() {
	env := cgi.NewEnviron("SCRIPT_NAME=", "PATH_INFO=/x", "QUERY_STRING=a=b")
	fmt.Println(env.Get("QUERY_STRING"), env.Len())
	_, there := env.Lookup("SCRIPT_NAME")
	_, missing := env.Lookup("REMOTE_USER")
	fmt.Println(there, missing)

	env.Set("PATH_INFO", "/y")
	env.Del("SCRIPT_NAME")
	fmt.Println(env.SetDefault("QUERY_STRING", "c=d"), env.SetDefault("REMOTE_USER", "joe"))
	fmt.Println(strings.Join(env.Strings(), " "))
	// Output:
	// a=b 3
	// true false
	// a=b joe
	// PATH_INFO=/y QUERY_STRING=a=b REMOTE_USER=joe
}

// An application that goes on to try other variables works on a copy.
func ExampleEnviron_Clone() {
	env := cgi.NewEnviron("SCRIPT_NAME=/wiki", "PATH_INFO=/Main/Talk")
	below := env.Clone()
	cgi.ShiftPathInfo(below)
	fmt.Println(env.Get("PATH_INFO"), below.Get("PATH_INFO"))
	// Output: /Main/Talk /Talk
}

// A map, for a template.
func ExampleEnviron_Map() {
	env := cgi.NewEnviron("CONTENT_LENGTH=0", "SCGI=1")
	fmt.Println(env.Map())
	// Output: map[CONTENT_LENGTH:0 SCGI:1]
}

// GuessScheme has wsgiref's rule. IsHTTPS knows more web servers.
func ExampleEnviron_IsHTTPS() {
	for _, v := range []string{"HTTPS=on", "HTTPS=ON", "REQUEST_SCHEME=https", "X=y"} {
		env := cgi.NewEnviron(v)
		fmt.Println(v, cgi.GuessScheme(env), env.IsHTTPS())
	}
	// Output:
	// HTTPS=on https true
	// HTTPS=ON http true
	// REQUEST_SCHEME=https http true
	// X=y http false
}

// nginx and Apache tell the path of a request in different ways.
func ExampleRequest_FullPath() {
	nginx := cgi.NewEnviron("SCRIPT_NAME=/app/page", "DOCUMENT_URI=/app/page", "PATH_INFO=/page")
	apache := cgi.NewEnviron("SCRIPT_NAME=/app", "PATH_INFO=/page")
	iis := cgi.NewEnviron("SCRIPT_NAME=/app", "PATH_INFO=/app/page")
	fmt.Println((&cgi.Request{Env: nginx}).FullPath())
	fmt.Println((&cgi.Request{Env: apache}).FullPath())
	fmt.Println((&cgi.Request{Env: iis}).FullPath(), (&cgi.Request{Env: iis, Paths: cgi.PathIIS}).FullPath())
	// Output:
	// /app/page
	// /app/page
	// /app/app/page /app/page
}

// What the body's length is, by all that web servers say of it.
func ExampleEnviron_BodyLength() {
	for _, vars := range [][]string{
		{"CONTENT_LENGTH=12"},
		{"CONTENT_LENGTH="},
		{"CONTENT_LENGTH=0", "HTTP_CONTENT_LENGTH=12"}, // a body that is not buffered
	} {
		fmt.Println(cgi.NewEnviron(vars...).BodyLength(false))
	}
	// Output:
	// 12
	// -1
	// 12
}
