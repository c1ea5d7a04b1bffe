package deploy_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestAWStats has awstats, a large Perl program, read a web server's log and show what
// is in it.
func TestAWStats(t *testing.T) {
	const dir = "/srv/awstats"
	owner := webUser(t)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&log, "192.0.2.%d - - [01/Nov/2026:08:%02d:%02d +0000] \"GET /page-%d.html HTTP/1.1\" 200 1000 \"-\" \"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\"\n", i%200, i/60, i%60, i)
	}
	for path, text := range map[string]string{
		dir + "/access.log": log.String(),
		"/etc/awstats/awstats.test.conf": `LogFile="` + dir + `/access.log"
LogType=W
LogFormat=1
SiteDomain="statistics.example.org"
DNSLookup=0
DirData="` + dir + `"
DirIcons="/awstats-icon"
AllowToUpdateStatsFromBrowser=1
AllowFullYearView=3
MaxRowsInHTMLOutput=2000
`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(path) })
	}
	startGateway(t)
	through(t, programFronts[:2], func(t *testing.T, _ front) {
		const page = "/cgi-bin/awstats.pl?config=test&month=11&year=2026"
		wantPage(t, page+"&update=1&framename=mainright", "text/html", "statistics.example.org", "</html>")
		wantPage(t, page+"&output=urldetail", "text/html", "/page-0.html", "/page-999.html", "</html>")
		wantPage(t, page+"&output=allhosts", "text/html", "192.0.2.1<", "192.0.2.199<", "</html>")
	})
}
