//go:build unix

package harness

import "strings"

// An Option changes how a role's process is started.
type Option func(*Command)

func with(c Command, options []Option) Command {
	for _, o := range options {
		o(&c)
	}
	return c
}

// Named gives the process a name for messages.
func Named(name string) Option { return func(c *Command) { c.Name = name } }

// Env adds environment variables, NAME=value.
func Env(variables ...string) Option {
	return func(c *Command) { c.Env = append(c.Env, variables...) }
}

// Value is what the option gives an environment variable.
func (o Option) Value(name string) string {
	var c Command
	o(&c)
	value := ""
	for _, e := range c.Env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// Under starts the process by another program: Under("prlimit", "--nofile=20", "--").
func Under(wrapper ...string) Option { return func(c *Command) { c.Args = wrapper } }

// In puts the process into a group that is killed at once.
func In(g *Group) Option { return func(c *Command) { c.Group = g } }
