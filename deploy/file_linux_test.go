package deploy_test

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestEveryFileIsTested: the web servers in the tests have all the files that are
// there to be copied.
func TestEveryFileIsTested(t *testing.T) {
	var there, tested []string
	for _, folder := range []string{"nginx", "apache", "lighttpd", "haproxy"} {
		files, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		there = append(there, files...)
	}
	for _, f := range slices.Concat(programFronts, gitFronts, applicationFronts) {
		tested = append(tested, f.file)
	}
	slices.Sort(there)
	slices.Sort(tested)
	if tested = slices.Compact(tested); !slices.Equal(there, tested) {
		t.Errorf("the files are %q; tested are %q", there, tested)
	}
}
