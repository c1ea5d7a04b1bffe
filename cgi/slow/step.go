package slow

import "gatehouse/cgi"

// digits is how many digits a number has that a stack spells, the first being outermost.
// shortDigits is how many bits of it count the entries of an App.
const (
	digits      = 8
	shortDigits = 12
)

// A call is the call of an application, through functions that spell a number.
type call struct {
	app    cgi.App
	w      cgi.ResponseWriter
	r      *cgi.Request
	number uint32
	left   int // digits to be spelled
}

// stepName is what the names of the functions that stand for digits begin with. Each has to
// be a call of its own on the stack.
const stepName = "gatehouse/cgi/slow.step"

// nextName is the name of next, which the compiler puts into them or not.
const nextName = "gatehouse/cgi/slow.(*call).next"

func (c *call) next() error {
	if c.left == 0 {
		return c.app.ServeCGI(c.w, c.r)
	}
	c.left--
	switch c.number >> (4 * c.left) & 0xf {
	case 0x0:
		return step0(c)
	case 0x1:
		return step1(c)
	case 0x2:
		return step2(c)
	case 0x3:
		return step3(c)
	case 0x4:
		return step4(c)
	case 0x5:
		return step5(c)
	case 0x6:
		return step6(c)
	case 0x7:
		return step7(c)
	case 0x8:
		return step8(c)
	case 0x9:
		return step9(c)
	case 0xa:
		return stepa(c)
	case 0xb:
		return stepb(c)
	case 0xc:
		return stepc(c)
	case 0xd:
		return stepd(c)
	case 0xe:
		return stepe(c)
	}
	return stepf(c)
}

//go:noinline
func step0(c *call) error { return c.next() }

//go:noinline
func step1(c *call) error { return c.next() }

//go:noinline
func step2(c *call) error { return c.next() }

//go:noinline
func step3(c *call) error { return c.next() }

//go:noinline
func step4(c *call) error { return c.next() }

//go:noinline
func step5(c *call) error { return c.next() }

//go:noinline
func step6(c *call) error { return c.next() }

//go:noinline
func step7(c *call) error { return c.next() }

//go:noinline
func step8(c *call) error { return c.next() }

//go:noinline
func step9(c *call) error { return c.next() }

//go:noinline
func stepa(c *call) error { return c.next() }

//go:noinline
func stepb(c *call) error { return c.next() }

//go:noinline
func stepc(c *call) error { return c.next() }

//go:noinline
func stepd(c *call) error { return c.next() }

//go:noinline
func stepe(c *call) error { return c.next() }

//go:noinline
func stepf(c *call) error { return c.next() }
