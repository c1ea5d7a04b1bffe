package deploy_test

import "testing"

// TestCgitFilters reads pages that cgit passes through other programs, its children:
// a file with its syntax in colours (highlight), a page in Markdown (python3-markdown)
// and links in a commit's message (sed).
func TestCgitFilters(t *testing.T) {
	p := newProject(t)
	p.publish(t)
	const filters = "/usr/lib/cgit/filters/"
	appendTo(t, "/etc/cgitrc", "source-filter="+filters+"syntax-highlighting.sh\n"+
		"about-filter="+filters+"about-formatting.sh\n"+
		"commit-filter="+filters+"commit-links.sh\n"+
		"readme=:README.md\n"+
		"scan-path=/srv/git\n")
	startGateway(t)
	through(t, programFronts, func(t *testing.T, _ front) {
		wantPage(t, "/cgit/project.git/tree/hello.c", "text/html", `<span class="hl kwb">int</span>`, "</html>")
		wantPage(t, "/cgit/project.git/about/", "text/html", "<em>emphatic</em>", "</html>")
		wantPage(t, "/cgit/project.git/commit/", "text/html", "<a href=\"./?id=0123456789abcdef\">0123456789abcdef</a>", "</html>")
	})
}
