package deploy_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const projectURL = "http://localhost/git/project.git"

// Options of git push. Above http.postBuffer bytes git sends a body chunked,
// without saying how long it is.
const (
	chunked = "http.postBuffer=65536"
	counted = "http.postBuffer=100000000"
)

func TestGitNginx(t *testing.T)    { cloneAndPush(t, "nginx") }
func TestGitApache(t *testing.T)   { cloneAndPush(t, "Apache") }
func TestGitLighttpd(t *testing.T) { cloneAndPush(t, "lighttpd") }
func TestGitHAProxy(t *testing.T)  { cloneAndPush(t, "HAProxy") }
func TestGitCaddy(t *testing.T)    { cloneAndPush(t, "Caddy") }

// cloneAndPush clones, pushes 30 MB and clones again through a web server, in each of
// its ways, and compares what arrived with what was sent.
func cloneAndPush(t *testing.T, server string) {
	p := newProject(t)
	startGateway(t)
	installTestProgram(t, "git")
	fronts := slices.DeleteFunc(slices.Clone(gitFronts), func(f front) bool { return !strings.HasPrefix(f.name, server) })
	if len(fronts) == 0 {
		t.Fatalf("no front is of %s", server)
	}
	through(t, fronts, func(t *testing.T, f front) {
		repository := p.publish(t)
		p.clone(t, p.old)
		if f.wantsLength() {
			p.push(t, projectURL, counted)
		} else {
			p.push(t, projectURL, chunked)
		}
		if got := git(t, repository, "rev-parse", "main"); got != p.new {
			t.Fatalf("main is %s after the push; want %s", got, p.new)
		}
		git(t, repository, "fsck", "--full", "--strict")
		p.clone(t, p.new)
	})
}

// clone clones the project and compares its files with those of commit.
func (p *project) clone(t *testing.T, commit string) {
	t.Helper()
	clone, want := filepath.Join(t.TempDir(), "clone"), filepath.Join(t.TempDir(), "want")
	git(t, "", "clone", "--quiet", projectURL, clone)
	if got := git(t, clone, "rev-parse", "HEAD"); got != commit {
		t.Fatalf("the clone is at %s; want %s", got, commit)
	}
	git(t, clone, "fsck", "--full", "--strict")
	git(t, p.work, "worktree", "add", "--quiet", "--detach", want, commit)
	defer git(t, p.work, "worktree", "remove", "--force", want)
	wantSameFiles(t, clone, want)
}

// push pushes the project's new commit with the given option, and sees to it
// that the body goes the way that the option stands for.
func (p *project) push(t *testing.T, url, option string) {
	t.Helper()
	out, trace, err := p.tryPush(t, url, option)
	if err != nil {
		t.Fatalf("git push: %v\n%s", err, out)
	}
	if got, want := strings.Contains(trace, "=> Send header: Transfer-Encoding: chunked"), option == chunked; got != want {
		t.Fatalf("the push was sent chunked: %v; want %v", got, want)
	}
}

// tryPush returns what git push printed, the heads that it sent and got, and
// how it ended.
func (p *project) tryPush(t *testing.T, url, option string) (out, trace string, err error) {
	t.Helper()
	heads := filepath.Join(t.TempDir(), "heads")
	cmd := gitCommand(t, p.work, "-c", option, "push", url, "main")
	cmd.Env = append(cmd.Env, "GIT_TRACE_CURL="+heads, "GIT_TRACE_CURL_NO_DATA=1")
	output, err := cmd.CombinedOutput()
	traced, readErr := os.ReadFile(heads)
	if readErr != nil {
		t.Fatalf("%v\n%s", readErr, output)
	}
	return string(output), string(traced), err
}

// refusals are the web servers that refuse bodies of unknown length, by their files,
// which say so, and with what.
var refusals = map[string]int{
	"apache/scgi.conf":    http.StatusLengthRequired,
	"haproxy/fastcgi.cfg": http.StatusBadRequest,
	"haproxy/site.cfg":    http.StatusBadRequest,
}

func (f front) wantsLength() bool { return refusals[f.file] != 0 }

// TestGitChunkedPushNeedsLength: where bodies of unknown length are refused, the
// repository stays as it was.
func TestGitChunkedPushNeedsLength(t *testing.T) {
	p := newProject(t)
	repository := p.publish(t)
	startGateway(t)
	fronts := slices.DeleteFunc(slices.Clone(gitFronts), func(f front) bool { return !f.wantsLength() })
	through(t, fronts, func(t *testing.T, f front) {
		// git may notice that nobody takes its body before it reads the answer.
		if out, _, err := p.tryPush(t, projectURL, chunked); err == nil {
			t.Errorf("git push succeeds\n%s", out)
		}
		wantRefusedChunks(t, "/git/project.git/git-receive-pack", refusals[f.file])
		if got := git(t, repository, "rev-parse", "main"); got != p.old {
			t.Errorf("main is %s; want %s", got, p.old)
		}
	})
}

// TestGitUncheckedUser: a name that only the client vouches for does not make
// a user who may push. nginx's own fastcgi_params would pass it as one.
func TestGitUncheckedUser(t *testing.T) {
	p := newProject(t)
	repository := p.publish(t)
	git(t, repository, "config", "--unset", "http.receivepack")
	startGateway(t)
	installTestProgram(t, "git")
	through(t, gitFronts, func(t *testing.T, _ front) {
		for service, want := range map[string]int{
			"git-upload-pack":  http.StatusOK,
			"git-receive-pack": http.StatusForbidden,
		} {
			request, err := http.NewRequest("GET", projectURL+"/info/refs?service="+service, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.SetBasicAuth("mallory", "any")
			if got := get(t, request); got.status != want {
				t.Errorf("%s: status %d; want %d\n%s", service, got.status, want, got.body)
			}
		}
	})
}
