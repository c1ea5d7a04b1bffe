// Package simpleserver is the Go form of Python's wsgiref.simple_server. It holds
// [DemoApp], the page that shows what a web server passes on.
package simpleserver
