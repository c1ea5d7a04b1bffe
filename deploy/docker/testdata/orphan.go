// orphan is a CGI program that leaves a process behind, of which it is not the parent: a
// daemon, which ends soon after.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

func main() {
	switch {
	case len(os.Args) == 1:
		child := exec.Command("/proc/self/exe", "child")
		if err := child.Run(); err != nil {
			fmt.Printf("Status: 500\n\n%v\n", err)
			return
		}
		fmt.Print("Content-Type: text/plain\n\nleft behind\n")
	case os.Args[1] == "child":
		daemon := exec.Command("/proc/self/exe", "daemon")
		daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := daemon.Start(); err != nil {
			os.Exit(1)
		}
	default:
		time.Sleep(100 * time.Millisecond)
	}
}
