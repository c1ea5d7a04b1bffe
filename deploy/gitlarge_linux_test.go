package deploy_test

import (
	"path/filepath"
	"sync"
	"testing"
)

// TestGitLarge pushes 100 MB, whose length nobody knows before the gateway, and clones
// them by eight clients at once.
func TestGitLarge(t *testing.T) {
	p := newProjectOf(t, 100<<20)
	startGateway(t)
	startNginx(t, "nginx/git-unbuffered.conf")
	repository := p.publish(t)
	p.push(t, projectURL, chunked)
	if got := git(t, repository, "rev-parse", "main"); got != p.new {
		t.Fatalf("main is %s after the push; want %s", got, p.new)
	}
	var clones sync.WaitGroup
	dir := t.TempDir()
	for i := range 8 {
		clone := filepath.Join(dir, string(rune('a'+i)))
		clones.Go(func() {
			// git checks the pack's sum, and that nothing is missing.
			out, err := gitCommand(t, "", "clone", "--quiet", "--bare", projectURL, clone).CombinedOutput()
			if err != nil {
				t.Errorf("git clone: %v\n%s", err, out)
				return
			}
			if got, err := gitCommand(t, clone, "rev-parse", "HEAD").Output(); string(got) != p.new+"\n" {
				t.Errorf("a clone is at %q, %v; want %s", got, err, p.new)
			}
		})
	}
	clones.Wait()
}
