package daemon

import (
	"fmt"
	"path/filepath"
	"strings"

	"gatehouse/cgi/script"
)

// A wary Kind says what its configuration allows and nobody may have meant, one line for
// each thing. The prefix is where it is mounted.
type wary interface {
	warnings(prefix string) []string
}

// Warnings returns what c would serve and nobody may have meant, one line for each thing. It
// is for a configuration in which [Config.Check] finds nothing wrong.
func (c *Config) Warnings() (lines []string) {
	if c.File != "" && len(c.Apps) == 0 {
		lines = append(lines, fmt.Sprintf("%s has no application, so all requests get the demo, a page of the web server's variables: "+
			`write scripts = "DIR"`, c.File))
	}
	lines = append(lines, c.proxyWarnings()...)
	for _, a := range c.Apps {
		k, ok := a.Kind.(wary)
		if !ok {
			continue
		}
		for _, line := range k.warnings(a.Prefix) {
			lines = append(lines, fmt.Sprintf("%s: %s", a.place(), line))
		}
	}
	return lines
}

func (k *scriptsKind) warnings(prefix string) []string {
	lines := k.app.Warnings()
	if k.app.Manner != script.Gatehouse || len(k.app.Roots) < 2 || strings.Trim(prefix, "/") != "" {
		return lines
	}
	for _, root := range k.app.Roots {
		if checkRoot(root) == nil && !isDirectory(root) {
			lines = append(lines, fmt.Sprintf("scripts: without a prefix, %s serves every path that the others in the list do not have: "+
				"write an [[app]] for it alone, such as prefix = %q, scripts = %q", root, "/"+filepath.Base(root), root))
		}
	}
	return lines
}
