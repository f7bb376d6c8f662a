"""The colours of code: few, and each with a contrast of 4.5 to 1 at least to what is below it."""
from pygments import style, token


def styles(text, comment, output, word, name, number, string, prompt, deleted, inserted):
    return {
        token.Token: text, token.Comment: f"italic {comment}", token.Comment.Preproc: f"noitalic {number}",
        token.Keyword: f"bold {word}", token.Keyword.Type: f"nobold {word}", token.Name.Builtin: word,
        token.Name.Function: name, token.Name.Class: name, token.Number: number, token.String: string,
        token.Generic.Prompt: f"bold {prompt}", token.Generic.Output: output, token.Generic.Heading: "bold",
        token.Generic.Subheading: f"bold {name}", token.Generic.Deleted: deleted, token.Generic.Inserted: inserted,
    }


class Light(style.Style):
    """On nearly white."""
    background_color = "#f4f4f2"
    styles = styles(text="#1c1c1c", comment="#5a5a5a", output="#4a4a4a", word="#0060a0", name="#6a2c8f",
                    number="#7a3e00", string="#2b6a1e", prompt="#9a3b00", deleted="#a11d1d", inserted="#1f6b2b")


class Dark(style.Style):
    """On nearly black."""
    background_color = "#1b1d20"
    styles = styles(text="#e3e3df", comment="#a8a8a0", output="#b8b8b2", word="#7cc4f5", name="#d0a6ea",
                    number="#e8b27a", string="#a5d39a", prompt="#f0a168", deleted="#f29b9b", inserted="#8fd19e")
