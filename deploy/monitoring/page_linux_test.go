package monitoring

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"gatehouse/internal/testkit"
)

// A browser is a page in headless Chromium.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath("/usr/bin/chromium"), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-dev-shm-usage", true)}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewContext(t.Context(), chromedp.WithAllocatorOptions(options...))
	t.Cleanup(cancel)
	return &browser{t, ctx}
}

// do does actions.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// evaluate returns the value of an expression of JavaScript.
func evaluate[T any](b *browser, expression string) T {
	b.t.Helper()
	var v T
	var err error
	testkit.Poll(func() bool { // again, if the page was left meanwhile for the next one
		v, err = chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
		return err == nil || !strings.Contains(err.Error(), "navigated or closed")
	})
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// card returns the figure of a card.
func (b *browser) card(name string) string {
	b.t.Helper()
	return evaluate[string](b, fmt.Sprintf(`[...document.querySelectorAll(".cards div")].filter(d => d.firstChild.textContent.trim() == %q).map(d => d.querySelector("b").textContent).join()`, name))
}

// rows returns how many rows a table has, without its head.
func (b *browser) rows(id string) int {
	b.t.Helper()
	return evaluate[int](b, fmt.Sprintf(`document.querySelectorAll("#%s tr td:first-child").length`, id))
}

// screenshot keeps what the page looks like, if GATEHOUSE_SCREENSHOTS names a directory.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("GATEHOUSE_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestPage drives load, failures, a queue and an aborted request, and reads the figures from
// the page.
func TestPage(t *testing.T) {
	g := start(t, map[string]string{
		"quick": "printf 'Content-Type: text/plain\\n\\nquick\\n'\n",
		"fail":  "echo 'cannot open the database' >&2\nexit 3\n",
		"slow":  "mkfifo ../gate 2>/dev/null\nread line <../gate\nprintf 'Content-Type: text/plain\\n\\nslow\\n'\n",
	}, "programs = 1\nqueue_wait = \"off\"")
	for range 5 {
		if status, err := g.get("quick"); status != 200 {
			t.Fatal(status, err)
		}
	}
	const hostile = "fail?<script>alert(document.domain)</script>&\"'"
	for range 3 {
		if status, err := g.get(strings.NewReplacer("<", "%3C", ">", "%3E", `"`, "%22").Replace(hostile)); status != 502 {
			t.Fatal(status, err)
		}
	}
	gone := make(chan int, 2)
	for range 2 {
		go func() {
			status, _ := g.get("slow")
			gone <- status
		}()
	}

	b := startBrowser(t)
	admin := "http://" + g.address["admin"] + "/"
	b.do(chromedp.Navigate(admin))
	testkit.Until(t, "the page shows what runs and what waits", func() bool { return b.card("in flight") == "2" && b.card("waiting") == "1" })
	for name, want := range map[string]string{"ended": "8", "failed": "3", "refused": "0"} {
		if got := b.card(name); got != want {
			t.Errorf("%s: %q, want %s", name, got, want)
		}
	}
	if failures, inFlight := b.rows("failures"), b.rows("inflight"); failures != 3 || inFlight != 2 {
		t.Errorf("%d failures, %d requests in flight", failures, inFlight)
	}
	text := evaluate[string](b, "document.body.innerText")
	for _, want := range []string{"exit status 3", "/bin/slow", "waiting", "running", g.address["http"], "document.domain"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := evaluate[int](b, `document.querySelectorAll("main script").length`); n != 0 {
		t.Errorf("what a client asked for became %d scripts", n)
	}
	b.screenshot("page")

	// Behind its id is what one request does.
	const running = `[...document.querySelectorAll("#inflight tr")].find(r => r.textContent.includes("running"))`
	b.do(chromedp.Navigate(evaluate[string](b, running+`.querySelector("a").href`)))
	detail := evaluate[string](b, "document.body.innerText")
	for _, want := range []string{"/bin/slow", "processes", "waits", "running 1 of 1, in the queue 1 of 1024", "queue_wait", "All requests"} {
		if !strings.Contains(strings.ToLower(detail), strings.ToLower(want)) {
			t.Errorf("the page of one request lacks %q:\n%s", want, detail)
		}
	}
	b.screenshot("request")
	b.do(chromedp.Navigate(admin))

	// The button needs the token, and ends the request that runs. The other one runs then.
	const press = running + `.querySelector("button").click()`
	evaluate[any](b, press)
	testkit.Until(t, "the token is asked for", func() bool {
		return strings.Contains(evaluate[string](b, "document.body.innerText"), "the token is missing or wrong")
	})
	b.do(chromedp.Navigate(admin), chromedp.SendKeys(chromedp.CSS(`input[name="token"]`), token))
	testkit.Until(t, "the page lists what runs", func() bool { return evaluate[bool](b, running+" !== undefined") })
	evaluate[any](b, press)
	if status := testkit.Receive(t, "the aborted request", gone); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	testkit.Until(t, "the page shows that it has ended", func() bool { return b.card("in flight") == "1" && b.card("waiting") == "0" })

	// The page changes without being loaded again.
	evaluate[any](b, `window.kept = true`)
	if status, err := g.command("abort", "--admin", g.address["admin"], "--token-file", g.dir+"/token", g.idOf(t, "slow")); status != 0 {
		t.Errorf("abort: %d %v", status, err)
	}
	testkit.Receive(t, "the other request", gone)
	testkit.Until(t, "the page shows that by itself", func() bool { return b.card("in flight") == "0" && b.card("ended") == "10" })
	if !evaluate[bool](b, `window.kept === true`) {
		t.Error("the page was loaded again")
	}

	// On a phone nothing is wider than the screen, and nothing needs JavaScript.
	b.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile), func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	}, chromedp.Navigate(admin))
	if width := evaluate[int](b, `document.documentElement.scrollWidth`); width > 390 {
		t.Errorf("the page is %d pixels wide", width)
	}
	if got := b.card("ended"); got != "10" {
		t.Errorf("without JavaScript: ended %q", got)
	}
	b.screenshot("phone")
}
