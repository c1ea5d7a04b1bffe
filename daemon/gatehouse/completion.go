package main

import (
	"fmt"
	"strings"
)

// shells are the shells that completion knows.
var shells = []string{"bash", "zsh", "fish"}

// completion prints a script that completes the commands and flags of gatehouse in a shell.
func (p *process) completion(args []string) int {
	var shell string
	help, err := parseFlags("completion", args, []option{{set: func(s string) error {
		if shell != "" {
			return fmt.Errorf("completion takes one shell: leave out %q", s)
		}
		shell = s
		return nil
	}}})
	switch {
	case err != nil:
		return p.fail(err)
	case help:
		return p.help(nil)
	case shell == "":
		return p.fail(fmt.Errorf("completion needs the name of a shell: %s", strings.Join(shells, ", ")))
	}
	switch shell {
	case "bash":
		return p.print(completeBash(synopses()))
	case "zsh":
		return p.print(completeZsh(synopses()))
	case "fish":
		return p.print(completeFish(synopses()))
	}
	return p.fail(unknown("shell", shell, shells))
}

// commandWords returns the names of the commands.
func commandWords(list []*synopsis) string {
	var words []string
	for _, s := range list {
		words = append(words, s.command)
	}
	return strings.Join(words, " ")
}

func completeBash(list []*synopsis) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Completion of gatehouse in bash.

_gatehouse() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W "%s" -- "$cur"))
		return
	fi
	case "${COMP_WORDS[1]} $prev" in
`, commandWords(list))
	for _, s := range list {
		for _, f := range s.flags {
			if f.value == "" {
				continue
			}
			c := f.completion()
			fmt.Fprintf(&b, "\t\"%s --%s\")\n", s.command, f.name)
			var how []string
			if len(c.words) > 0 {
				how = append(how, fmt.Sprintf("-W %q", strings.Join(c.words, " ")))
			}
			if c.files {
				how = append(how, "-f")
			}
			if c.users {
				how = append(how, "-u")
			}
			if how != nil {
				fmt.Fprintf(&b, "\t\tCOMPREPLY=($(compgen %s -- \"$cur\"))\n", strings.Join(how, " "))
			}
			b.WriteString("\t\treturn\n\t\t;;\n")
		}
	}
	b.WriteString("\tesac\n\tcase ${COMP_WORDS[1]} in\n")
	for _, s := range list {
		words := s.operands
		for _, f := range s.flags {
			words = append(words, "--"+f.name)
		}
		if len(words) > 0 {
			fmt.Fprintf(&b, "\t%s) COMPREPLY=($(compgen -W \"%s\" -- \"$cur\")) ;;\n", s.command, strings.Join(words, " "))
		}
	}
	b.WriteString("\tesac\n}\ncomplete -F _gatehouse gatehouse\n")
	return b.String()
}

func completeZsh(list []*synopsis) string {
	var b strings.Builder
	fmt.Fprintf(&b, `#compdef gatehouse
# Completion of gatehouse in zsh.

_gatehouse() {
	if (( CURRENT == 2 )); then
		compadd -- %s
		return
	fi
	shift words
	(( CURRENT-- ))
	case $words[1] in
`, commandWords(list))
	for _, s := range list {
		fmt.Fprintf(&b, "\t%s)\n\t\t_arguments", s.command)
		for _, f := range s.flags {
			fmt.Fprintf(&b, " \\\n\t\t\t'*--%s", f.name)
			if f.value != "" {
				c := f.completion()
				words := strings.ReplaceAll(strings.Join(c.words, " "), ":", `\:`)
				action := " "
				switch {
				case c.files && words != "":
					action = fmt.Sprintf("{_alternative \"words:word:(%s)\" \"files:file:_files\"}", words)
				case c.files:
					action = "_files"
				case c.users:
					action = "_users"
				case words != "":
					action = "(" + words + ")"
				}
				fmt.Fprintf(&b, "=:%s:%s", strings.NewReplacer(":", `\:`, "[", "", "]", "").Replace(f.value), action)
			}
			b.WriteString("'")
		}
		if len(s.operands) > 0 {
			fmt.Fprintf(&b, " \\\n\t\t\t':word:(%s)'", strings.Join(s.operands, " "))
		}
		b.WriteString("\n\t\t;;\n")
	}
	b.WriteString("\tesac\n}\n\nif [ \"$funcstack[1]\" = _gatehouse ]; then\n\t_gatehouse \"$@\"\nelse\n\tcompdef _gatehouse gatehouse\nfi\n")
	return b.String()
}

func completeFish(list []*synopsis) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Completion of gatehouse in fish.\n\ncomplete -c gatehouse -f\ncomplete -c gatehouse -n __fish_use_subcommand -a '%s'\n", commandWords(list))
	for _, s := range list {
		line := fmt.Sprintf("complete -c gatehouse -n '__fish_seen_subcommand_from %s'", s.command)
		for _, f := range s.flags {
			fmt.Fprintf(&b, "%s -l %s", line, f.name)
			if f.value != "" {
				c := f.completion()
				words := strings.Join(c.words, " ")
				if c.users {
					words = strings.TrimSpace(words + " (__fish_complete_users)")
				}
				if c.files {
					b.WriteString(" -r -F")
				} else {
					b.WriteString(" -x")
				}
				if words != "" {
					fmt.Fprintf(&b, " -a '%s'", words)
				}
			}
			b.WriteString("\n")
		}
		if len(s.operands) > 0 {
			fmt.Fprintf(&b, "%s -a '%s'\n", line, strings.Join(s.operands, " "))
		}
	}
	return b.String()
}
