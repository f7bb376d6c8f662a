"""The colours of code: few, and each with a contrast of 4.5 to 1 at least to what is below it."""
from pygments import style, token


class Light(style.Style):
    """On nearly white."""
    background_color = "#f4f4f2"
    styles = {
        token.Token: "#1c1c1c", token.Comment: "italic #5a5a5a", token.Comment.Preproc: "noitalic #7a3e00",
        token.Keyword: "bold #0060a0", token.Keyword.Type: "nobold #0060a0", token.Name.Function: "#6a2c8f",
        token.Name.Class: "#6a2c8f", token.Name.Builtin: "#0060a0", token.Number: "#7a3e00", token.String: "#2b6a1e",
        token.Generic.Prompt: "bold #9a3b00", token.Generic.Output: "#4a4a4a", token.Generic.Deleted: "#a11d1d",
        token.Generic.Inserted: "#1f6b2b", token.Generic.Heading: "bold", token.Generic.Subheading: "bold #6a2c8f",
    }


class Dark(style.Style):
    """On nearly black."""
    background_color = "#1b1d20"
    styles = {
        token.Token: "#e3e3df", token.Comment: "italic #a8a8a0", token.Comment.Preproc: "noitalic #e8b27a",
        token.Keyword: "bold #7cc4f5", token.Keyword.Type: "nobold #7cc4f5", token.Name.Function: "#d0a6ea",
        token.Name.Class: "#d0a6ea", token.Name.Builtin: "#7cc4f5", token.Number: "#e8b27a", token.String: "#a5d39a",
        token.Generic.Prompt: "bold #f0a168", token.Generic.Output: "#b8b8b2", token.Generic.Deleted: "#f29b9b",
        token.Generic.Inserted: "#8fd19e", token.Generic.Heading: "bold", token.Generic.Subheading: "bold #d0a6ea",
    }
