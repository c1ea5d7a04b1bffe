//go:build unix && !linux

package main

func alone() { panic("networks of their own exist on Linux only") }

func limited() { panic("the limit of processes is tested on Linux only") }
