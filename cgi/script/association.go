package script

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// associates says that the system knows nothing of "#!", so that the App itself finds out
// what runs a file.
const associates = runtime.GOOS == "windows"

// directly are the extensions of what Windows runs itself.
const directly = ".exe .com .bat .cmd"

// commandLine returns the words before the arguments of the program path: its interpreter,
// with that one's arguments, if it has one, and path. In this order these decide:
//
//   - interpreters, by the extension of path;
//   - the extension, if Windows runs such a file itself;
//   - the first line, if it begins with "#!". Programs are written for other systems, too,
//     so an interpreter that is not where the line says is looked for by its name in dirs, a
//     list like PATH: for "#!/usr/bin/python3" and "#!/usr/bin/env python3", these are
//     python3.exe and python.exe.
func commandLine(path string, interpreters map[string]string, dirs string) ([]string, *Finding) {
	extension := strings.ToLower(filepath.Ext(path))
	for e, program := range interpreters {
		if strings.EqualFold(e, extension) {
			return []string{program, path}, nil
		}
	}
	for e := range strings.FieldsSeq(directly) {
		if e == extension {
			return []string{path}, nil
		}
	}
	finding := func(code int, detail, remedy string) *Finding {
		return &Finding{Check: CheckInterpreter, Path: path, Detail: detail, Remedy: remedy, Code: code}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, lookupFinding(path, classify(err))
	}
	defer file.Close()
	start, _ := bufio.NewReaderSize(file, firstLine).Peek(firstLine)
	line, script := strings.CutPrefix(strings.TrimPrefix(string(start), "\xef\xbb\xbf"), "#!")
	if !script {
		// Here every file may run, so this may be one that was not meant to.
		remedy := `begin it with its interpreter, such as #!python`
		if extension != "" {
			remedy += fmt.Sprintf(`, or write interpreters = { "%s" = 'C:\…\python.exe' }`, extension)
		}
		return nil, finding(http.StatusForbidden, `it has no interpreter: its extension is not known, and it has no "#!" line`, remedy)
	}
	line, _, _ = strings.Cut(line, "\n")
	program, args := interpreterOf(strings.TrimSpace(line))
	if program == "" {
		return nil, finding(http.StatusBadGateway, `its "#!" line names no interpreter`, "write one, such as #!python")
	}
	found := program
	if !filepath.IsAbs(program) || !isRegular(program) {
		if found = inPath(base(program), dirs); found == "" {
			return nil, finding(http.StatusBadGateway, fmt.Sprintf("its interpreter %q does not exist, and %s is not in PATH, which is %q", program, base(program), dirs),
				`install it, correct the first line, or set PATH with env = { PATH = "…" }`)
		}
	}
	return append(append([]string{found}, args...), path), nil
}

// interpreterOf divides what follows "#!" into the interpreter and its arguments: as Linux
// does, all the rest is one of them. A path with spaces may be in double quotes. Behind env,
// which is not needed here, the words are the command.
func interpreterOf(line string) (program string, args []string) {
	rest := ""
	if quoted, ok := strings.CutPrefix(line, `"`); ok {
		program, rest, _ = strings.Cut(quoted, `"`)
	} else if i := strings.IndexAny(line, " \t"); i >= 0 {
		program, rest = line[:i], line[i:]
	} else {
		program = line
	}
	if strings.TrimSuffix(strings.ToLower(base(program)), ".exe") == "env" {
		words := strings.Fields(rest)
		if len(words) > 0 && words[0] == "-S" {
			words = words[1:]
		}
		if len(words) == 0 {
			return "", nil
		}
		return words[0], words[1:]
	}
	if rest = strings.TrimSpace(rest); rest != "" {
		args = []string{rest}
	}
	return program, args
}

// base returns what follows the last slash of either kind.
func base(path string) string { return path[strings.LastIndexAny(path, `/\`)+1:] }

// inPath returns where in dirs a program is, or "". Windows installs python.exe where others
// have python3 and python3.11, so a version at the end may be missing.
func inPath(name, dirs string) string {
	names := []string{name}
	if plain := strings.TrimRight(strings.TrimSuffix(strings.ToLower(name), ".exe"), "0123456789."); plain != "" && plain != name {
		names = append(names, plain)
	}
	for _, name := range names {
		if !strings.EqualFold(filepath.Ext(name), ".exe") {
			name += ".exe"
		}
		for _, dir := range filepath.SplitList(dirs) {
			if path := filepath.Join(dir, name); filepath.IsAbs(path) && isRegular(path) {
				return path
			}
		}
	}
	return ""
}

func isRegular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// pathOf returns the PATH in an environment.
func pathOf(env []string) string {
	for _, v := range env {
		if name, value, _ := strings.Cut(v, "="); strings.EqualFold(name, "PATH") {
			return value
		}
	}
	return ""
}
