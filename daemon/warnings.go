package daemon

import "fmt"

// Warnings returns what is no mistake in c, but hardly what was meant, one line for each.
func (c *Config) Warnings() (lines []string) {
	if c.File != "" && len(c.Apps) == 0 {
		lines = append(lines, fmt.Sprintf("%s has no [[app]], so all requests get the demo, a page of the web server's variables: "+
			`write [[app]], and below it scripts = "DIR"`, c.File))
	}
	return lines
}
