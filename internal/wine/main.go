//go:build unix

// Command wine runs a Windows program under Debian's wine. It is for the tests of the code
// for Windows:
//
//	go build -o bin/wine ./internal/wine
//	GOOS=windows go test -exec $PWD/bin/wine ./iis
//
// "make wine" does so. The first run makes a directory for wine (700 MB) in the user's cache, or where
// GATEHOUSE_WINE says. Wine has no AF_UNIX, no access control lists and no IIS.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "wine:", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("write the program to run, and its arguments")
	}
	wine, err := exec.LookPath("wine")
	if err != nil {
		return errors.New("wine is not installed; say: sudo apt-get install --no-install-recommends wine wine64")
	}
	prefix, err := directory()
	if err != nil {
		return err
	}
	env := append(os.Environ(), "WINEPREFIX="+prefix, "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=")
	if err := prepare(wine, prefix, env); err != nil {
		return err
	}
	// The first program starts the services of wine, which keep what it was started with: the
	// output of a test would not end.
	services := exec.Command(wine, "wineboot")
	services.Env = env
	if err := services.Run(); err != nil {
		return fmt.Errorf("wine wineboot: %w", err)
	}
	return syscall.Exec(wine, append([]string{wine}, args...), env)
}

// directory returns where wine keeps its files.
func directory() (string, error) {
	if dir := os.Getenv("GATEHOUSE_WINE"); dir != "" {
		return filepath.Abs(dir)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "gatehouse-wine"), nil
}

// prepare makes the directory for wine, once: others that come meanwhile wait.
func prepare(wine, prefix string, env []string) error {
	if err := os.MkdirAll(prefix, 0o755); err != nil {
		return err
	}
	lock, err := os.Create(filepath.Join(prefix, ".lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("%s: %w", lock.Name(), err)
	}
	ready := filepath.Join(prefix, ".ready")
	if _, err := os.Stat(ready); err == nil {
		return nil
	}
	// Go needs bcryptprimitives.dll, which wine 8 lacks, and Windows 10.
	for _, args := range [][]string{{"wineboot", "-i"}, {"winecfg", "-v", "win10"}} {
		cmd := exec.Command(wine, args...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("wine %s: %w\n%s", args[0], err, out)
		}
	}
	dll := filepath.Join(prefix, "drive_c/windows/system32/bcryptprimitives.dll")
	if _, err := os.Stat(dll); err == nil {
		return os.WriteFile(ready, nil, 0o644)
	}
	if err := os.WriteFile(dll, forwarder("bcryptprimitives.dll", "ProcessPrng", "advapi32.SystemFunction036"), 0o644); err != nil {
		return err
	}
	return os.WriteFile(ready, nil, 0o644)
}
