package main

import (
	"gatehouse/cgi/script"
	"gatehouse/daemon"
)

// fcgiwrapApp is the application of fcgiwrap without flags.
func fcgiwrapApp() daemon.App {
	return daemon.App{Source: "fcgiwrap", Prefix: "/", Kind: daemon.AppScripts, Manner: script.Fcgiwrap, InheritAll: true, PassAuthorization: true}
}

func slowcgiApp() daemon.App {
	return daemon.App{Source: "slowcgi", Prefix: "/", Kind: daemon.AppScripts, Manner: script.Slowcgi, Inherit: []string{}, PassAuthorization: true}
}
