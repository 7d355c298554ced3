"""Route instructions: language-neutral plans, and grammars that write and parse them."""
