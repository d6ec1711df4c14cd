//go:build unix

package harness

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

// Under starts the process by another program: Under("prlimit", "--nofile=20", "--").
func Under(wrapper ...string) Option { return func(c *Command) { c.Args = wrapper } }

// In puts the process into a group that is killed at once.
func In(g *Group) Option { return func(c *Command) { c.Group = g } }
