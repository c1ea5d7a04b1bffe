package deploy_test

import (
	"io/fs"
	"slices"
	"testing"

	"gatehouse/deploy"
)

// TestEveryFileIsTested: the servers in the tests have all the files that are there to be
// copied, but for those of IIS, which TestIISConfig reads, and of Prometheus, of which
// deploy/monitoring has the tests.
func TestEveryFileIsTested(t *testing.T) {
	var there []string
	err := fs.WalkDir(deploy.Files(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == "iis", path == "prometheus":
			return fs.SkipDir
		case !d.IsDir():
			there = append(there, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	tested := []string{"gatehouse.toml"} // by startGateway
	for _, f := range slices.Concat(programFronts, gitFronts, applicationFronts) {
		tested = append(tested, f.file)
	}
	slices.Sort(there)
	slices.Sort(tested)
	if tested = slices.Compact(tested); !slices.Equal(there, tested) {
		t.Errorf("the files are %q; tested are %q", there, tested)
	}
}
