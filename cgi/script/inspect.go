package script

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// firstLine is how much of a program is read to find its interpreter: what Linux
// looks at.
const firstLine = 256

// inspect returns what would keep this user from executing a file that the lookup
// has found, or nil. It runs nothing.
func inspect(path string) *Finding {
	if associates {
		return nil // commandLine has looked at it
	}
	if f := inspectAccess(path); f != nil {
		return f
	}
	file, err := os.Open(path)
	if err != nil {
		return nil // executable, but not readable: a binary, or the system will tell
	}
	defer file.Close()
	start, _ := bufio.NewReaderSize(file, firstLine).Peek(firstLine)
	text := string(start)
	finding := func(check Check, detail, remedy string) *Finding {
		return &Finding{Check: check, Path: path, Detail: detail, Remedy: remedy, Code: http.StatusBadGateway}
	}
	switch {
	case strings.HasPrefix(text, "#!"):
		line, _, _ := strings.Cut(text[2:], "\n")
		return inspectInterpreter(path, line)
	case strings.HasPrefix(text, "\x7fELF"):
		return inspectBinary(path, file)
	case strings.HasPrefix(text, "\xef\xbb\xbf#!"):
		return finding(CheckByteOrder, "it begins with a byte order mark", "remove it (sed -i '1s/^\\xef\\xbb\\xbf//' "+path+")")
	case compiledPython(text):
		if found, _ := filepath.Glob("/proc/sys/fs/binfmt_misc/python*"); len(found) > 0 {
			return nil // the system knows what to do with it
		}
		return finding(CheckFormat, "it is compiled Python, which the system cannot run",
			`install the .py file in its place, with #!/usr/bin/python3 as its first line`)
	case otherBinary(text):
		return nil
	case text == "":
		return finding(CheckFormat, `it is empty, so that it is no binary, and has no "#!" line`, "")
	}
	return finding(CheckFormat, `it is no binary for this machine, and has no "#!" line`, "begin it with its interpreter, such as #!/bin/sh")
}

// inspectInterpreter checks the rest of a "#!" line.
func inspectInterpreter(path, line string) *Finding {
	finding := func(check Check, detail, remedy string) *Finding {
		return &Finding{Check: check, Path: path, Detail: detail, Remedy: remedy, Code: http.StatusBadGateway}
	}
	if strings.HasSuffix(line, "\r") {
		return finding(CheckLineEnd, "its first line ends in CR LF", "remove the CR (sed -i 's/\\r$//' "+path+")")
	}
	line = strings.Trim(line, " \t")
	interpreter := line
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		interpreter = line[:i]
	}
	if interpreter == "" {
		return finding(CheckInterpreter, `its "#!" line names no interpreter`, "write one, such as #!/bin/sh")
	}
	name := interpreter
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(path), name) // as the system does, from the directory that it starts in
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f := finding(CheckInterpreter, fmt.Sprintf("its interpreter %q does not exist", line), "install it, or correct the first line")
		f.needs = name
		return f
	case err == nil && info.IsDir():
		f := finding(CheckInterpreter, fmt.Sprintf("its interpreter %q is a directory", line), "correct the first line")
		f.Code = http.StatusForbidden
		return f
	}
	if found := inspectAccess(name); found != nil {
		f := finding(CheckInterpreter, fmt.Sprintf("its interpreter %s: %s", found.Path, found.Detail), found.Remedy)
		f.Code, f.needs = http.StatusForbidden, found.Path
		return f
	}
	return nil
}

// inspectBinary checks the machine and the dynamic loader of an ELF file.
func inspectBinary(path string, file *os.File) *Finding {
	finding := func(check Check, detail, remedy string) *Finding {
		return &Finding{Check: check, Path: path, Detail: detail, Remedy: remedy, Code: http.StatusBadGateway}
	}
	b, err := elf.NewFile(file)
	if err != nil {
		return finding(CheckFormat, "it is a broken binary: "+strings.ReplaceAll(err.Error(), "\n", " "), "install it again")
	}
	defer b.Close()
	for _, p := range b.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > 4096 {
			continue
		}
		name := make([]byte, p.Filesz)
		if _, err := p.ReadAt(name, 0); err != nil {
			break
		}
		loader := strings.TrimRight(string(name), "\x00")
		if _, err := os.Stat(loader); errors.Is(err, fs.ErrNotExist) {
			return finding(CheckLoader, fmt.Sprintf("its dynamic loader %s does not exist", loader),
				fmt.Sprintf("it is built for another system (%v): build it here, or statically", b.Machine))
		}
	}
	return nil
}

// compiledPython reports whether a file begins as a .pyc: with a version, CR LF and flags.
func compiledPython(start string) bool {
	return len(start) >= 8 && start[2:4] == "\r\n" && otherBinary(start[:8])
}

// otherBinary reports whether a file begins as a binary that is no ELF: those have
// bytes that no text has.
func otherBinary(start string) bool { return strings.IndexByte(start, 0) >= 0 }

// inspectCommand returns what is wrong with the program that "#!/usr/bin/env NAME"
// looks up in the PATH of env. The system starts env; that it ends with status 127 is
// all that a client would see of it.
func inspectCommand(path string, env []string) *Finding {
	if associates {
		return nil
	}
	words := interpreterWords(path)
	if len(words) < 2 || filepath.Base(words[0]) != "env" || strings.HasPrefix(words[1], "-") || strings.ContainsAny(words[1], "=/") {
		return nil
	}
	dirs := ""
	for _, v := range env {
		if d, ok := strings.CutPrefix(v, "PATH="); ok {
			dirs = d
		}
	}
	if dirs == "" {
		return nil // env has a PATH of its own then
	}
	for _, dir := range filepath.SplitList(dirs) {
		if mayExecute(filepath.Join(dir, words[1])) == nil {
			return nil
		}
	}
	return &Finding{Check: CheckInterpreter, Path: path, Code: http.StatusBadGateway,
		Detail: fmt.Sprintf("its interpreter %q is not in PATH, which is %q", words[1], dirs),
		Remedy: `install it, write its whole path in the first line, or set PATH with env = { PATH = "…" }`}
}

// interpreterOf returns the words of a "#!" line, or none.
func interpreterWords(path string) []string {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	start, _ := bufio.NewReaderSize(file, firstLine).Peek(firstLine)
	line, script := strings.CutPrefix(string(start), "#!")
	if !script {
		return nil
	}
	line, _, _ = strings.Cut(line, "\n")
	return strings.Fields(line)
}
