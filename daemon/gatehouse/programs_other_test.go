//go:build unix && !linux

package main

func alone()   { panic("networks of their own exist on Linux only") }
func limited() {}
