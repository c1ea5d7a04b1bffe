//go:build linux

package script

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestOnly: of what lies in the roots only what fits a pattern runs, however it is named.
func TestOnly(t *testing.T) {
	f := newFixture(t)
	f.Only = []string{"*.cgi", "tools/[a-m]*"}
	for _, name := range []string{"a.cgi", "sub/b.cgi", "a.pl", "a.cgi.bak", "tools/list", "tools/zap", "tools/deep/list"} {
		f.sh(t, name, head+"echo ran")
	}
	for path, runs := range map[string]bool{
		"/a.cgi": true, "/sub/b.cgi": true, "/a.cgi/more": true, "/tools/list": true,
		"/a.pl": false, "/a.cgi.bak": false, "/tools/zap": false, "/tools/deep/list": false,
	} {
		file := filepath.Join(f.dir, strings.TrimSuffix(path, "/more"))
		for _, r := range []string{"", "SCRIPT_FILENAME=" + file} {
			s, res := f.serve(request(path, r))
			if runs {
				checkOK(t, s, res, "ran\n")
			} else {
				checkRefused(t, res, 403, file, "is not one of the programs that may run", "only")
			}
		}
	}
	if e, err := f.Explain(request("/a.pl")); err != nil || e.Finding == nil || e.Finding.Check != CheckAllowed {
		t.Errorf("Explain: %+v, %v", e, err)
	}
}

// TestOnlyAndAProgramAsRoot: who names a program as a root has allowed it.
func TestOnlyAndAProgramAsRoot(t *testing.T) {
	f := newFixture(t)
	f.sh(t, "whole-site", head+"echo ran")
	f.Roots = []string{filepath.Join(f.dir, "whole-site")}
	f.Only = []string{"*.cgi"}
	s, res := f.serve(request("/any/where"))
	checkOK(t, s, res, "ran\n")
}

func TestBadPatterns(t *testing.T) {
	for _, a := range []*App{{Only: []string{"[a"}}, {NPH: []string{"[a"}}} {
		if err := a.Prepare(); err == nil || !strings.Contains(err.Error(), `"[a"`) {
			t.Errorf("Prepare returned %v", err)
		}
		a.Close()
	}
}
