//go:build race

package cgi

const raceEnabled = true
