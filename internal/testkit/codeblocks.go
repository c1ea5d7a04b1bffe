package testkit

import (
	"os"
	"strings"
	"testing"
)

// A CodeBlock is a block of code in a page of Markdown.
type CodeBlock struct {
	Section  string // the heading above it, without its marks
	Language string // that its fence names; empty if the block is indented
	Text     string // without the indentation
}

// CodeBlocks returns the blocks of code in a page, in order.
func CodeBlocks(t testing.TB, file string) (blocks []CodeBlock) {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section, fenced, open := "", false, false
	for line := range strings.Lines(string(page)) {
		language, fence := strings.CutPrefix(line, "```")
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case fence:
			if fenced = !fenced; fenced {
				blocks = append(blocks, CodeBlock{Section: section, Language: strings.TrimSpace(language)})
			}
			open = false
		case fenced:
			blocks[len(blocks)-1].Text += line
		case indented:
			if !open {
				blocks = append(blocks, CodeBlock{Section: section})
			}
			blocks[len(blocks)-1].Text += code
			open = true
		default:
			open = false
			if strings.HasPrefix(line, "#") {
				section = strings.TrimSpace(strings.TrimLeft(line, "#"))
			}
		}
	}
	return blocks
}
