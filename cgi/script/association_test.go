package script

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCommandLine has the programs that Windows knows nothing of.
func TestCommandLine(t *testing.T) {
	dir, err := os.MkdirTemp("", "association") // wine cannot remove a TempDir
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(path) })
		return path
	}
	t.Cleanup(func() { os.Remove(dir) })
	python, perl := write("python.exe", "MZ"), write("perl5.exe", "MZ")
	interpreters := map[string]string{".lua": `C:\lua\lua.exe`, ".CMD": `C:\other.exe`}
	tests := []struct {
		name, text string
		want       []string // before the program
		code       int
		errors     []string
	}{
		{"a.lua", "#!/usr/bin/perl5\n", []string{`C:\lua\lua.exe`}, 0, nil},
		{"a.LUA", "", []string{`C:\lua\lua.exe`}, 0, nil},
		{"a.cmd", "echo", []string{`C:\other.exe`}, 0, nil},
		{"a.bat", "#!x", nil, 0, nil},
		{"a.Exe", "MZ", nil, 0, nil},
		{"a.py", "#!" + python + "\n", []string{python}, 0, nil},
		{"b.py", "#!\"" + python + "\" -u\r\n", []string{python, "-u"}, 0, nil},
		{"c.py", "\xef\xbb\xbf#! " + python + " -u  -W x \r\nprint()\n", []string{python, "-u  -W x"}, 0, nil},
		{"d", "#!/opt/none/python3\n", []string{python}, 0, nil},
		{"e", "#!/usr/bin/env python3.11\n", []string{python}, 0, nil},
		{"f", "#!/usr/bin/env -S python -u -B", []string{python, "-u", "-B"}, 0, nil},
		{"g", "#!perl5 -w\n", []string{perl, "-w"}, 0, nil},
		{"h", `#!C:\Strawberry\perl\bin\perl5.exe -w`, []string{perl, "-w"}, 0, nil},
		{"i", "#!/opt/none/perl\n", nil, http.StatusBadGateway, []string{`its interpreter "/opt/none/perl" does not exist, and perl is not in PATH`}},
		{"j", "#!\n", nil, http.StatusBadGateway, []string{"names no interpreter"}},
		{"k", "#!/usr/bin/env\n", nil, http.StatusBadGateway, []string{"names no interpreter"}},
		{"l.txt", "text", nil, http.StatusForbidden, []string{"it has no interpreter", `interpreters = { ".txt" =`}},
		{"m", "", nil, http.StatusForbidden, []string{"it has no interpreter", "#!python"}},
		{"n", "#!..\\python\n", []string{python}, 0, nil},
		{"o", "#!/opt/none/3\n", nil, http.StatusBadGateway, []string{"3 is not in PATH"}},
	}
	for _, tt := range tests {
		path := write(tt.name, tt.text)
		got, f := commandLine(path, interpreters, "relative"+string(os.PathListSeparator)+dir)
		if tt.code != 0 {
			if f == nil || f.Code != tt.code || f.Path != path || f.Check != CheckInterpreter {
				t.Errorf("%s: %v; want a finding of %d", tt.name, f, tt.code)
				continue
			}
			for _, text := range tt.errors {
				if !strings.Contains(f.Error(), text) {
					t.Errorf("%s: %q; want %q in it", tt.name, f.Error(), text)
				}
			}
			continue
		}
		if want := append(tt.want, path); f != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, f, want)
		}
	}
	if _, f := commandLine(filepath.Join(dir, "none"), nil, dir); f == nil || f.Code != http.StatusNotFound {
		t.Errorf("%v; want that there is no such file", f)
	}
}
