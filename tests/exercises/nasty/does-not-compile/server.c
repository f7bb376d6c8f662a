/* No semicolon. */
int main(void)
{
    return nothing
}
