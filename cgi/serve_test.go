package cgi

var childPrograms = map[string]func() int{}
