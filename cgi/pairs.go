package cgi

import "math"

// pairs holds the names and values of an Environ without a pointer for each: most of them
// are parts of the text in which they arrived. So a request's variables cost the garbage
// collector next to nothing.
type pairs struct {
	list []pair

	text  string   // holds the parts whose span is not negative
	added []string // holds the others
}

type pair struct{ name, value span }

// A span is text[at:at+n], or added[^at] if at is negative.
type span struct{ at, n int32 }

func (p *pairs) len() int { return len(p.list) }

// at returns the i-th pair.
func (p *pairs) at(i int) (name, value string) {
	x := &p.list[i]
	return p.string(x.name), p.string(x.value)
}

func (p *pairs) name(i int) string { return p.string(p.list[i].name) }

func (p *pairs) value(i int) string { return p.string(p.list[i].value) }

func (p *pairs) string(s span) string {
	if s.at < 0 {
		return p.added[^s.at]
	}
	return p.text[s.at : s.at+s.n]
}

// index returns where name is, or -1.
func (p *pairs) index(name string) int {
	for i := range p.list {
		if x := p.list[i].name; int(x.n) == len(name) && p.string(x) == name {
			return i
		}
	}
	return -1
}

// append adds a pair.
func (p *pairs) append(name, value string) {
	p.compact()
	p.list = append(p.list, pair{p.addString(name), p.addString(value)})
}

// adopt makes text the one that spans are parts of.
func (p *pairs) adopt(text string) bool {
	if p.text == "" && len(text) <= math.MaxInt32 {
		p.text = text
	}
	// Equal strings at the same place are compared without a look at their bytes.
	return p.text == text
}

// setValue sets the value of the i-th pair.
func (p *pairs) setValue(i int, value string) {
	if x := &p.list[i].value; x.at < 0 {
		p.added[^x.at], x.n = value, int32(min(len(value), math.MaxInt32))
		return
	}
	p.compact()
	p.list[i].value = p.addString(value)
}

// remove removes the i-th pair.
func (p *pairs) remove(i int) {
	p.list = append(p.list[:i], p.list[i+1:]...)
}

func (p *pairs) addString(s string) span {
	p.added = append(p.added, s)
	return span{^int32(len(p.added) - 1), int32(min(len(s), math.MaxInt32))}
}

// compact drops the strings that removed pairs have left, once there are many.
func (p *pairs) compact() {
	if len(p.added) <= 4*len(p.list)+64 {
		return
	}
	old := p.added
	p.added = make([]string, 0, 2*len(p.list)+2)
	move := func(s *span) {
		if s.at < 0 {
			*s = p.addString(old[^s.at])
		}
	}
	for i := range p.list {
		move(&p.list[i].name)
		move(&p.list[i].value)
	}
}

func (p *pairs) clone() pairs {
	return pairs{append([]pair(nil), p.list...), p.text, append([]string(nil), p.added...)}
}

// reset removes all pairs, and keeps the memory for as many.
func (p *pairs) reset() {
	clear(p.added)
	p.list, p.text, p.added = p.list[:0], "", p.added[:0]
}

// A Pair says where a variable is in a text: its name is text[Name:NameEnd], and its value
// text[Value:End].
type Pair struct{ Name, NameEnd, Value, End int }

func (p *Pair) pair() pair {
	return pair{span{int32(p.Name), int32(p.NameEnd - p.Name)}, span{int32(p.Value), int32(p.End - p.Value)}}
}
