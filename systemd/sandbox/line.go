package sandbox

import (
	"iter"
	"path"
	"strings"
)

// maxPaths bounds how many paths of a line are looked at: the line is a program's.
const maxPaths = 4

// paths yields the absolute paths in a line of text: what begins with a slash at its start, or
// behind a blank, a quote or a bracket, up to the next such.
func paths(line string) iter.Seq[string] {
	const around = " \t'\"`‘’“”()[]<>,;:="
	return func(yield func(string) bool) {
		for n := 0; n < maxPaths && line != ""; {
			at := strings.IndexAny(line, around+"/")
			if at < 0 {
				return
			}
			if line[at] != '/' || at > 0 {
				if line[at] == '/' { // within a relative path
					at += strings.IndexAny(line[at:]+" ", around)
				}
				line = strings.TrimLeft(line[min(at, len(line)):], around)
				continue
			}
			end := strings.IndexAny(line+" ", around)
			if !yield(path.Clean(line[:end])) {
				return
			}
			line, n = line[end:], n+1
		}
	}
}
