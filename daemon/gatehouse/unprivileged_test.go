//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// unprivileged is a program that is gatehouse without the rights of root:
//
//	unprivileged gatehouse ARGUMENT...
//
// It changes its own user, since others cannot reach the files of the test.
func unprivileged() {
	const nobody = 65534
	if os.Geteuid() == 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			fmt.Fprintln(os.Stderr, "unprivileged:", err)
			os.Exit(125)
		}
	}
	os.Args = os.Args[1:]
	main()
}
