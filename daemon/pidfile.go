package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// checkPIDFile returns what is wrong with a value of pid_file.
func checkPIDFile(path string) error {
	if path == "" {
		return errors.New("empty path: write a file, or remove the key")
	}
	if err := checkAbsolute(path); err != nil {
		return err
	}
	if isDirectory(path) {
		return fmt.Errorf("%s is a directory: write the path of a file", path)
	}
	return checkCreate(filepath.Dir(path))
}

// writePIDFile writes the number of this process to a file. Whoever reads it finds a whole
// number, this one or that of the process before.
func writePIDFile(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".")
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
		err = errors.Join(err, f.Close())
		if err == nil {
			err = errors.Join(os.Chmod(f.Name(), 0o644), os.Rename(f.Name(), path))
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}
	if err != nil {
		return fmt.Errorf("pid_file %s cannot be written: %w", path, bare(err))
	}
	return nil
}

// removePIDFile removes the file unless it names another process by now.
func removePIDFile(path string) {
	if pid, err := ReadPIDFile(path); err == nil && pid == os.Getpid() {
		os.Remove(path)
	}
}

// ReadPIDFile returns the number of the process in a file that pid_file names.
func ReadPIDFile(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, bare(err))
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("%s does not contain the number of a process", path)
	}
	return pid, nil
}
